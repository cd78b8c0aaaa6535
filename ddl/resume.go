package ddl

import (
	"context"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
)

const (
	// lookEvery is how often the clusters are asked for jobs that nobody runs.
	lookEvery = 2 * time.Second
	// lookTime bounds the question to one cluster.
	lookTime = 5 * time.Second
)

// Run takes up jobs that nobody runs, at once and again and again, until ctx
// ends. Every Serval does it for all; the named lock lets one of them at a job.
func (q *Jobs) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		for _, cluster := range q.servers.Clusters() {
			q.Round(ctx, cluster)
			q.follow(ctx, cluster)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Round takes up the jobs whose rows are on one cluster.
func (q *Jobs) Round(ctx context.Context, cluster string) {
	within, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	rows, err := q.servers.Select(within, cluster, "SELECT schema_name, table_name FROM "+jobsTable+" WHERE state = '"+running+"' ORDER BY id LIMIT 100")
	if err != nil {
		return // there is no such table yet, or no such server now
	}
	for _, row := range rows {
		if err := q.takeUp(ctx, cluster, string(row[0]), string(row[1])); err != nil && ctx.Err() == nil {
			q.log.Warn("a definition over shards that was left unfinished could not be finished", "cluster", cluster,
				"schema", string(row[0]), "table", string(row[1]), "err", err)
		}
	}
}

// takeUp finishes the jobs on one table if nobody has its lock.
func (q *Jobs) takeUp(ctx context.Context, home, schema, table string) error {
	held, err := q.servers.Lock(ctx, home, lockName(schema, table), 0)
	if err != nil || held == nil {
		return err
	}
	defer held.Close()
	return q.finish(ctx, held, home, schema, table)
}

// finish finishes the jobs on a table whose lock is held.
func (q *Jobs) finish(ctx context.Context, held Holder, home, schema, table string) error {
	rows, err := held.Select(ctx, "SELECT id, steps FROM "+jobsTable+" WHERE schema_name = "+text(schema)+" AND table_name = "+text(table)+
		" AND state = '"+running+"' ORDER BY id")
	if err != nil && noTable(err) {
		return nil
	}
	for _, row := range rows {
		j, err := decode(home, schema, table, row[0], row[1])
		if err != nil {
			return err
		}
		r := &Running{Job: j, jobs: q, held: held}
		if err := r.resume(ctx); err != nil {
			return err
		}
		q.log.Info("a definition over shards that was left unfinished is finished", "schema", schema, "table", table, "job", j.ID)
	}
	return err
}

// resume runs the steps that the shards show to be missing.
func (r *Running) resume(ctx context.Context) error {
	if err := r.compare(ctx); err != nil {
		if !lost(err) {
			r.close(ctx, failed, err)
		}
		return err
	}
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.Done {
			continue
		}
		if err := r.jobs.servers.ExecIn(ctx, s.Cluster, r.State, string(s.SQL)); err != nil {
			if ctx.Err() != nil {
				return err // this Serval ends; the job is the next one's
			}
			// The statement of the Serval that is gone may have run there still.
			if r.settle(ctx); s.Done {
				continue
			}
			return r.End(ctx, err)
		}
		r.Ended(ctx, map[int]error{i: nil})
	}
	return r.End(ctx, nil)
}

// compare marks the steps that are done already by what the shards are like.
// One that was changed by somebody else in the meantime is not touched.
func (r *Running) compare(ctx context.Context) error {
	now, errs := r.states(ctx)
	for i := range r.Steps {
		if errs[i] != nil {
			return errs[i]
		}
	}
	for i := range r.Steps { // what a done one is like, the others are to become
		s := &r.Steps[i]
		if s.Done && now[i] == s.Before && (r.Verb == Create || r.Verb == Change) {
			s.Done = false // taken back by hand, or a change that nothing shows: it does no harm twice
		}
		if s.Done {
			s.After = now[i]
		}
	}
	for i := range r.Steps {
		s := &r.Steps[i]
		switch {
		case s.Done:
		case r.Verb == Empty && r.untold(s.Before, now[i]):
			return sqlerr.New(sqlerr.UnknownError, "%s does not tell whether it was emptied; run TRUNCATE TABLE again to empty all shards of %s", s.place(), r.Table)
		case r.untold(s.Before, now[i]):
			return sqlerr.New(sqlerr.UnknownError, "%s does not tell whether it was renamed; look at the tables of all shards of %s and rename by hand", s.place(), r.Table)
		case now[i] == s.Before:
		case r.Verb == Change && r.another(s, now[i]):
			return sqlerr.New(sqlerr.UnknownError, "%s is neither as it was before the statement nor as the shards that have it; compare it (SHOW CREATE TABLE) and alter it by hand", s.place())
		default:
			s.Done, s.After = true, now[i]
		}
	}
	return nil
}

// another: a shard that was like this one before is now like none of those that
// have the change.
func (r *Running) another(s *Step, now string) bool {
	models := 0
	for i := range r.Steps {
		if m := &r.Steps[i]; m.Done && m.Before == s.Before && m.After != "" {
			if m.After == now {
				return false
			}
			models++
		}
	}
	return models > 0
}
