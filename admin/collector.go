package admin

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/servaldb/serval/topology"
)

var (
	descUp = prometheus.NewDesc("serval_instance_up", "1 if the last probe of the server succeeded.",
		[]string{"cluster", "instance", "role"}, nil)
	descLag = prometheus.NewDesc("serval_instance_seconds_behind_source",
		"The replica's lag in seconds (MySQL: Seconds_Behind_Source); absent where it is not known.",
		[]string{"cluster", "instance"}, nil)
	descPrimary = prometheus.NewDesc("serval_cluster_has_primary", "1 if the cluster has a primary that takes writes.",
		[]string{"cluster"}, nil)
	descPool = prometheus.NewDesc("serval_pool_connections", "Connections to the server, by state.",
		[]string{"instance", "state"}, nil)
	descWait = prometheus.NewDesc("serval_pool_waits_total", "Times a statement waited for a free connection.",
		[]string{"instance"}, nil)
	descRunning  = prometheus.NewDesc("serval_threads_running", "Statements running now (MySQL: Threads_running).", nil, nil)
	descBranches = prometheus.NewDesc("serval_prepared_branches",
		"Prepared XA branches of any Serval on the cluster, as seen last; those of a COMMIT under way are among them.", []string{"cluster"}, nil)
	descVersion = prometheus.NewDesc("serval_catalog_version", "Version of the running rules.", nil, nil)
)

// collector reads what is known at the moment of the scrape, so that nothing
// has to be kept in step.
type collector struct{ src Sources }

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descUp, descLag, descPrimary, descPool, descWait, descRunning, descBranches, descVersion} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for name, cl := range c.src.View().Clusters {
		ch <- prometheus.MustNewConstMetric(descPrimary, prometheus.GaugeValue, one(cl.Primary != ""), name)
		for _, in := range cl.Instances {
			ch <- prometheus.MustNewConstMetric(descUp, prometheus.GaugeValue, one(in.Up), name, in.Addr, in.Role.String())
			if in.LagKnown && in.Role == topology.RoleReplica {
				ch <- prometheus.MustNewConstMetric(descLag, prometheus.GaugeValue, in.Lag.Seconds(), name, in.Addr)
			}
		}
	}
	for _, p := range c.src.Pools() {
		ch <- prometheus.MustNewConstMetric(descPool, prometheus.GaugeValue, float64(p.Busy), p.Addr, "busy")
		ch <- prometheus.MustNewConstMetric(descPool, prometheus.GaugeValue, float64(p.Idle), p.Addr, "idle")
		ch <- prometheus.MustNewConstMetric(descWait, prometheus.CounterValue, float64(p.Waits), p.Addr)
	}
	running := 0
	for _, s := range c.src.Sessions() {
		if s.Command != "Sleep" {
			running++
		}
	}
	ch <- prometheus.MustNewConstMetric(descRunning, prometheus.GaugeValue, float64(running))
	for cluster, n := range c.src.Prepared() {
		ch <- prometheus.MustNewConstMetric(descBranches, prometheus.GaugeValue, float64(n), cluster)
	}
	ch <- prometheus.MustNewConstMetric(descVersion, prometheus.GaugeValue, float64(c.src.Catalog().Version))
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
