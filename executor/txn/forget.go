package txn

import (
	"context"
	"strings"
	"time"
)

// ended is a decision whose transaction ended well on all clusters.
type ended struct {
	gtrid string
	at    time.Time
}

const (
	// keepDecision is how long a decision outlives its transaction. A server may
	// lose what it has acknowledged (a failover to a replica that is behind, a
	// crash of a machine that does not sync): a branch that is prepared again by
	// that is committed by its decision, and a decision that is gone itself tells
	// that its cluster has lost its part.
	keepDecision = time.Minute
	// mostKept bounds those by cluster; where there are more the oldest are
	// deleted earlier. maxNeedless bounds what is remembered for deletion; what
	// is beyond is deleted when it is old.
	mostKept    = 50_000
	maxNeedless = 100_000
	// forgetBatch bounds one statement.
	forgetBatch = 2000
	// forgetTime bounds what is deleted when Serval ends.
	forgetTime = 2 * time.Second
)

// forget deletes the decisions that are not needed any more, after a look at
// whether they are all still there.
func (r *Recovery) forget(ctx context.Context, cluster string, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, recoverTime)
	defer cancel()
	for {
		names := r.takeNeedless(cluster, now)
		if len(names) == 0 {
			return
		}
		where := " FROM " + decisionTable + " WHERE gtrid IN (" + listed(names) + ")"
		rows, err := r.servers.Select(ctx, cluster, "SELECT gtrid"+where)
		if err != nil {
			r.putBack(cluster, names)
			return
		}
		r.tellVanished(cluster, names, rows)
		// What is not deleted, or not for certain, stays: it does no harm.
		if err := r.servers.Exec(ctx, cluster, "DELETE"+where); err != nil {
			return
		}
	}
}

// takeNeedless are the decisions that are old enough, one statement's worth.
func (r *Recovery) takeNeedless(cluster string, now time.Time) []ended {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, n := r.mu.needless[cluster], 0
	for n < min(len(all), forgetBatch) && (len(all)-n > mostKept || now.Sub(all[n].at) >= keepDecision) {
		n++
	}
	r.mu.needless[cluster] = all[n:]
	return all[:n:n]
}

func (r *Recovery) putBack(cluster string, names []ended) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.needless[cluster] = append(names, r.mu.needless[cluster]...)
}

// tellVanished tells of decisions that were committed and are not there: what
// was changed beside them is not there either, but on the other clusters it is.
func (r *Recovery) tellVanished(cluster string, names []ended, rows [][][]byte) {
	there := make(map[string]bool, len(rows))
	for _, row := range rows {
		there[string(row[0])] = true
	}
	var gone []string
	var last time.Time
	for _, e := range names {
		if !there[e.gtrid] {
			gone, last = append(gone, e.gtrid), e.at
		}
	}
	if len(gone) == 0 {
		return
	}
	if r.meter != nil {
		r.meter.Halved(len(gone))
	}
	const shown = 5
	r.log.Error("transactions over several clusters are only half there: this cluster has lost its parts, which it had acknowledged "+
		"(a failover to a replica that was behind?), the others have theirs", "cluster", cluster, "transactions", len(gone),
		"the last ended", last.UTC().Format(time.RFC3339Nano), "some", strings.Join(gone[:min(len(gone), shown)], " "))
}

// forgetAll deletes what is left when Serval ends.
func (r *Recovery) forgetAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, forgetTime)
	defer cancel()
	for _, cluster := range r.servers.Clusters() {
		for ctx.Err() == nil {
			names := r.takeNeedless(cluster, time.Now().Add(keepDecision))
			if len(names) == 0 || r.servers.Exec(ctx, cluster, "DELETE FROM "+decisionTable+" WHERE gtrid IN ("+listed(names)+")") != nil {
				break
			}
		}
	}
}

// listed is what stands in an IN list.
func listed(names []ended) string {
	list := make([]string, len(names))
	for i, e := range names {
		list[i] = quoted(e.gtrid)
	}
	return strings.Join(list, ",")
}
