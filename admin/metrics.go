package admin

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Command is a statement's kind in metrics, in the words of MySQL's Com_
// counters.
type Command uint8

// The commands that are counted apart.
const (
	CommandOther Command = iota
	CommandSelect
	CommandInsert
	CommandUpdate
	CommandDelete
	CommandDDL
	CommandBegin
	CommandCommit
	CommandRollback
	CommandSet
	CommandShow
	commands
)

var commandNames = [commands]string{
	"other", "select", "insert", "update", "delete", "ddl", "begin", "commit", "rollback", "set_option", "show",
}

// Metrics is everything Serval counts while it runs. Counters of a statement's
// path are resolved once, so counting is an atomic add. Safe for concurrent use.
type Metrics struct {
	registry  *prometheus.Registry
	questions [commands]prometheus.Counter
	durations [commands]prometheus.Observer
	errors    *prometheus.CounterVec

	scatter, planHits, planMisses, slow        prometheus.Counter
	connections, abortedConnects, refusedConns prometheus.Counter
	panicked, deadlocks, halved                prometheus.Counter
	commits, recovered                         *prometheus.CounterVec
	commitTime                                 prometheus.Histogram
	connected, rulesVersion                    prometheus.Gauge
}

// NewMetrics registers Serval's counters, the Go runtime's and the process's.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	questions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "serval_questions_total", Help: "Statements clients sent (MySQL: Questions), by command.",
	}, []string{"command"})
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "serval_statement_duration_seconds", Help: "From the statement's last byte in to its answer's last byte out.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
	}, []string{"command"})
	for c := range commands {
		m.questions[c] = questions.WithLabelValues(commandNames[c])
		m.durations[c] = durations.WithLabelValues(commandNames[c])
	}
	m.errors = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "serval_errors_total", Help: "Errors sent to clients, by MySQL error code.",
	}, []string{"code"})
	m.registry.MustRegister(questions, durations, m.errors)
	m.scatter = m.counter("serval_scatter_total", "Statements that went to more than one shard.")
	m.planHits = m.counter("serval_plan_cache_hits_total", "Statements whose plan was cached.")
	m.planMisses = m.counter("serval_plan_cache_misses_total", "Statements that were parsed and planned.")
	m.slow = m.counter("serval_slow_queries_total", "Statements that took longer than log.slow (MySQL: Slow_queries).")
	m.connections = m.counter("serval_connections_total", "Connection attempts (MySQL: Connections).")
	m.abortedConnects = m.counter("serval_aborted_connects_total", "Failed logins (MySQL: Aborted_connects).")
	m.refusedConns = m.counter("serval_connection_errors_max_connections_total",
		"Connections refused because of max_connections (MySQL: Connection_errors_max_connections).")
	m.connected = m.gauge("serval_threads_connected", "Client connections open (MySQL: Threads_connected).")
	m.panicked = m.counter("serval_panics_total", "Sessions ended by a defect of Serval; the log has the stack.")
	m.rulesVersion = m.gauge("serval_rules_version", "The version of the rules that is served; 0 where no history is kept.")
	m.deadlocks = m.counter("serval_deadlocks_broken_total", "Deadlocks over several clusters that Serval ended, one transaction each.")
	m.halved = m.counter("serval_halved_transactions_total", "Committed transactions over several clusters of which the first cluster has lost its part.")
	m.commits = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "serval_atomic_commits_total", Help: "COMMITs over two and more clusters that wrote, by outcome: committed, rolled_back, unknown.",
	}, []string{"outcome"})
	m.commitTime = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "serval_atomic_commit_duration_seconds", Help: "What such a COMMIT took, from its first step to its last.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
	})
	m.recovered = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "serval_recovered_branches_total", Help: "Branches that this Serval ended because nobody else did, by outcome: committed, rolled_back.",
	}, []string{"outcome"})
	m.registry.MustRegister(m.commits, m.commitTime, m.recovered)
	return m
}

// RulesVersion notes which version of the rules is served.
func (m *Metrics) RulesVersion(n int64) { m.rulesVersion.Set(float64(n)) }

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	m.registry.MustRegister(g)
	return g
}

// Statement counts one finished statement. code is the MySQL error code the
// client got, 0 for none; tasks how many statements went to servers.
func (m *Metrics) Statement(c Command, took time.Duration, tasks int, code uint16) {
	if c >= commands {
		c = CommandOther
	}
	m.questions[c].Inc()
	m.durations[c].Observe(took.Seconds())
	if tasks > 1 {
		m.scatter.Inc()
	}
	if code != 0 {
		m.errors.WithLabelValues(strconv.Itoa(int(code))).Inc()
	}
}

// Slow counts a statement over the slow limit.
func (m *Metrics) Slow() { m.slow.Inc() }

// PlanCache counts a look-up.
func (m *Metrics) PlanCache(hit bool) {
	if hit {
		m.planHits.Inc()
		return
	}
	m.planMisses.Inc()
}

// Panicked counts a session that a defect ended.
func (m *Metrics) Panicked() { m.panicked.Inc() }

// Accepted counts a connection attempt, AuthFailed a failed login, Refused one
// over max_connections.
func (m *Metrics) Accepted()   { m.connections.Inc() }
func (m *Metrics) AuthFailed() { m.abortedConnects.Inc() }
func (m *Metrics) Refused()    { m.refusedConns.Inc() }

// Open is +1 for a client connection opened and -1 for one closed.
func (m *Metrics) Open(delta int) { m.connected.Add(float64(delta)) }

// AtomicCommit counts a COMMIT over several clusters.
func (m *Metrics) AtomicCommit(outcome string, took time.Duration) {
	m.commits.WithLabelValues(outcome).Inc()
	m.commitTime.Observe(took.Seconds())
}

// Recovered counts a branch that recovery ended, DeadlockBroken a deadlock over
// clusters.
func (m *Metrics) Recovered(committed bool) {
	outcome := "rolled_back"
	if committed {
		outcome = "committed"
	}
	m.recovered.WithLabelValues(outcome).Inc()
}
func (m *Metrics) DeadlockBroken() { m.deadlocks.Inc() }

// Halved counts transactions of which a cluster has lost its part.
func (m *Metrics) Halved(transactions int) { m.halved.Add(float64(transactions)) }
