package txn

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
)

// Servers is what recovery needs of the clusters.
type Servers interface {
	// Clusters are their names.
	Clusters() []string
	// Select and Exec run one statement on the cluster's primary, in autocommit.
	Select(ctx context.Context, cluster, sql string) ([][][]byte, error)
	Exec(ctx context.Context, cluster, sql string) error
}

// Recovery is a Coordinator, and ends the branches that a Serval which crashed,
// or could not reach a server, has left behind: every Serval does it for all.
// There is nothing to elect, since a decision is one row that only one can enter.
type Recovery struct {
	servers  Servers
	log      *slog.Logger
	meter    Meter
	instance string
	count    atomic.Uint64
	wake     chan struct{}
	// blind are the clusters that do not tell their branches, and why; of the
	// goroutine in Run.
	blind map[string]string

	mu struct {
		sync.Mutex
		// running are the atomic transactions of this process, which recovery
		// leaves alone.
		running map[string]bool
		// needless are decisions by first cluster, the oldest first, that will be
		// asked for only where a server loses what it has acknowledged.
		needless map[string][]ended
		branches []Branch
	}
}

// Branch is a prepared branch of a Serval's transaction, as seen last.
type Branch struct {
	// Cluster it is prepared on, First the one that has the decision.
	Cluster, First string
	// GTRID is the transaction's name, XID the branch's, as SQL.
	GTRID, XID string
	// Seen is when this Serval saw it first, Trouble why it could not be ended
	// yet, empty if it was not tried.
	Seen    time.Time
	Trouble string
}

const (
	// recoverEvery is how often the servers are asked for prepared branches.
	recoverEvery = 2 * time.Second
	// recoverAfter is how long a branch of another Serval may be prepared
	// before recovery asks for its decision, and so rolls back one that has
	// none: longer than any COMMIT between its first and last step, or a slow
	// one is given up.
	recoverAfter = 5 * time.Second
	// recoverTime bounds one round on one cluster.
	recoverTime = 10 * time.Second
)

// NewRecovery makes one; Run does the work. meter may be nil.
func NewRecovery(servers Servers, log *slog.Logger, meter Meter) *Recovery {
	var id [8]byte
	_, _ = rand.Read(id[:]) // it never fails (crypto/rand since Go 1.24)
	r := &Recovery{servers: servers, log: log, meter: meter, instance: hex.EncodeToString(id[:]), wake: make(chan struct{}, 1), blind: map[string]string{}}
	r.mu.running = map[string]bool{}
	r.mu.needless = map[string][]ended{}
	return r
}

var _ Coordinator = (*Recovery)(nil)

// Name implements Coordinator.
func (r *Recovery) Name() string {
	name := gtridPrefix + r.instance + ":" + strconv.FormatUint(r.count.Add(1), 36)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.running[name] = true
	return name
}

// Meter implements Coordinator.
func (r *Recovery) Meter() Meter { return r.meter }

// Ended implements Coordinator.
func (r *Recovery) Ended(first, gtrid string, decided bool, left []Branch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mu.running, gtrid)
	switch {
	case len(left) > 0:
		for _, b := range left {
			b.Seen = time.Now()
			r.mu.branches = append(r.mu.branches, b)
		}
		select {
		case r.wake <- struct{}{}:
		default: // it is awake
		}
	case decided && len(r.mu.needless[first]) < maxNeedless:
		r.mu.needless[first] = append(r.mu.needless[first], ended{gtrid: gtrid, at: time.Now()})
	}
}

// Decided implements Coordinator: it enters an abort, and where a row is there
// already that one is the decision. The INSERT waits for a COMMIT that is still
// going on.
func (r *Recovery) Decided(ctx context.Context, first, gtrid string) (committed bool, err error) {
	err = r.servers.Exec(ctx, first, insertDecision(gtrid, "abort"))
	if err == nil || sqlerr.From(err).Code != errDuplicate {
		return false, err
	}
	rows, err := r.servers.Select(ctx, first, "SELECT decision FROM "+decisionTable+" WHERE gtrid = "+quoted(gtrid))
	switch {
	case err != nil:
		return false, err
	case len(rows) != 1:
		return false, errors.New("its decision was deleted while it was looked up")
	}
	return string(rows[0][0]) == "commit", nil
}

// Finish implements Coordinator.
func (r *Recovery) Finish(ctx context.Context, cluster, branch string) error {
	return r.servers.Exec(ctx, cluster, "XA COMMIT "+branch)
}

// Branches are the prepared branches that were seen last.
func (r *Recovery) Branches() []Branch {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.mu.branches)
}

// Run makes the decisions' table on every cluster and ends what was left
// behind, until ctx ends.
func (r *Recovery) Run(ctx context.Context) {
	tick := time.NewTicker(recoverEvery)
	defer tick.Stop()
	ready := map[string]bool{}
	for {
		for _, cluster := range r.servers.Clusters() {
			ready[cluster] = ready[cluster] || r.prepareCluster(ctx, cluster)
		}
		r.Round(ctx, time.Now())
		select {
		case <-ctx.Done():
			r.forgetAll(context.WithoutCancel(ctx))
			return
		case <-tick.C:
		case <-r.wake:
		}
	}
}

// schema is what the primaries must have.
var schema = []string{
	"CREATE DATABASE IF NOT EXISTS serval_meta",
	"CREATE TABLE IF NOT EXISTS " + decisionTable + " (gtrid VARBINARY(64) NOT NULL PRIMARY KEY, decision VARCHAR(6) CHARACTER SET ascii NOT NULL, " +
		"made_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, KEY (made_at)) ENGINE=InnoDB",
}

// prepareCluster makes the table, or deletes the rows of Servals that crashed
// behind their last step. A branch that waits longer than those for its server
// would be rolled back, so they are old.
func (r *Recovery) prepareCluster(ctx context.Context, cluster string) bool {
	ctx, cancel := context.WithTimeout(ctx, recoverTime)
	defer cancel()
	err := r.servers.Exec(ctx, cluster, "DELETE FROM "+decisionTable+" WHERE made_at < NOW() - INTERVAL 30 DAY LIMIT 10000")
	if err == nil {
		return true
	}
	for _, ddl := range schema {
		if err = r.servers.Exec(ctx, cluster, ddl); err != nil {
			break
		}
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("transactions over several clusters cannot be decided here yet", "cluster", cluster, "table", decisionTable, "err", err)
	}
	return err == nil
}

// Round looks at every cluster once.
func (r *Recovery) Round(ctx context.Context, now time.Time) {
	seen := map[string]Branch{}
	for _, b := range r.Branches() {
		seen[b.Cluster+" "+b.XID] = b
	}
	clusters := r.servers.Clusters()
	left := r.takenOut(clusters, seen)
	for _, cluster := range clusters {
		branches, err := r.prepared(ctx, cluster)
		if ctx.Err() != nil {
			return // Serval ends: what the servers say now is of that
		}
		r.tell(cluster, err)
		if err != nil {
			for _, b := range seen {
				if b.Cluster == cluster {
					left = append(left, b) // not seen to be gone
				}
			}
			continue
		}
		for _, b := range branches {
			if old, ok := seen[b.Cluster+" "+b.XID]; ok {
				b.Seen = old.Seen
			} else {
				b.Seen = now
			}
			if r.due(b, now) {
				b.Trouble = r.recover(ctx, b)
				if b.Trouble == "" {
					continue
				}
			}
			left = append(left, b)
		}
		r.forget(ctx, cluster, now)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.mu.branches { // those that a COMMIT has left meanwhile
		if _, old := seen[b.Cluster+" "+b.XID]; !old && !slices.ContainsFunc(left, func(l Branch) bool { return l.Cluster == b.Cluster && l.XID == b.XID }) {
			left = append(left, b)
		}
	}
	r.mu.branches = left
}

// takenOut are the branches of clusters that the configuration does not have any
// more. They keep their locks there, and their decisions are not deleted.
func (r *Recovery) takenOut(clusters []string, seen map[string]Branch) (out []Branch) {
	for _, b := range seen {
		if slices.Contains(clusters, b.Cluster) {
			continue
		}
		const trouble = " is not in the configuration any more: put it back until the branch is gone, or end it there as " + decisionTable + " says"
		if !strings.HasSuffix(b.Trouble, trouble) {
			b.Trouble = "cluster " + b.Cluster + trouble
			r.log.Warn("a prepared branch is left on a cluster that was taken out", "cluster", b.Cluster, "xid", b.XID, "decision on", b.First)
		}
		out = append(out, b)
	}
	return out
}

// tell logs, once, that a cluster does not say which branches it has: those that
// a crash leaves keep their locks until somebody ends them.
func (r *Recovery) tell(cluster string, err error) {
	why := ""
	if err != nil && !Broken(err) && sqlerr.From(err).Code != sqlerr.OptionPreventsWrite { // the last: there is no primary
		why = plainMessage(err)
	}
	if why != "" && why != r.blind[cluster] {
		r.log.Warn("branches that a crash leaves here will not be ended: XA RECOVER is refused; on MySQL the backend account needs XA_RECOVER_ADMIN",
			"cluster", cluster, "err", err)
	}
	r.blind[cluster] = why
}

// due: the branch is nobody's any more, as far as can be known. It may be
// wrong: then the commit that is still going on loses, as a whole.
func (r *Recovery) due(b Branch, now time.Time) bool {
	if strings.HasPrefix(b.GTRID, gtridPrefix+r.instance+":") {
		r.mu.Lock()
		defer r.mu.Unlock()
		return !r.mu.running[b.GTRID]
	}
	return now.Sub(b.Seen) >= recoverAfter
}

// recover ends a branch as its transaction was decided, and says what was in
// the way.
func (r *Recovery) recover(ctx context.Context, b Branch) (trouble string) {
	ctx, cancel := context.WithTimeout(ctx, recoverTime)
	defer cancel()
	committed, err := r.Decided(ctx, b.First, b.GTRID)
	if err != nil {
		return "its decision on cluster " + b.First + " is not to be had: " + plainMessage(err)
	}
	verb := "XA ROLLBACK "
	if committed {
		verb = "XA COMMIT "
	}
	// A branch that is not found was ended by somebody else, or is still held
	// by the connection it came by (MariaDB): the next round sees.
	if err := r.servers.Exec(ctx, b.Cluster, verb+b.XID); err != nil {
		return plainMessage(err)
	}
	if r.meter != nil {
		r.meter.Recovered(committed)
	}
	r.log.Info("a branch of a transaction that nobody ended was ended", "cluster", b.Cluster, "gtrid", b.GTRID, "committed", committed)
	return ""
}

// prepared are Serval's branches on a cluster.
func (r *Recovery) prepared(ctx context.Context, cluster string) (out []Branch, err error) {
	ctx, cancel := context.WithTimeout(ctx, recoverTime)
	defer cancel()
	rows, err := r.servers.Select(ctx, cluster, "XA RECOVER")
	for _, row := range rows {
		if b, ok := branchOf(cluster, row); ok {
			out = append(out, b)
		}
	}
	return out, err
}

// branchOf reads a row of XA RECOVER: formatID, the lengths of gtrid and bqual,
// and both of them.
func branchOf(cluster string, row [][]byte) (Branch, bool) {
	if len(row) != 4 {
		return Branch{}, false
	}
	g, err1 := strconv.Atoi(string(row[1]))
	n, err2 := strconv.Atoi(string(row[2]))
	data := string(row[3])
	if err1 != nil || err2 != nil || g < 0 || n < 0 || g+n != len(data) {
		return Branch{}, false
	}
	first, ok := firstOf(data[:g], data[g:])
	return Branch{Cluster: cluster, First: first, GTRID: data[:g], XID: quoted(data[:g]) + "," + quoted(data[g:])}, ok
}
