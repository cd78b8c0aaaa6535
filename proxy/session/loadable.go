package session

import (
	"context"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// loadable runs CREATE FUNCTION … SONAME on one cluster after the other, and
// takes it back where one refuses; DROP FUNCTION where the function is loaded.
// The home comes last: its answer is the client's.
func (s *Session) loadable(ctx context.Context, n *plan.Loadable, bound *plan.Bound) (out executor.Outcome, err error) {
	var done []string
	tasks := bound.Tasks.Of(n.Run)
	if n.Drop {
		loaded, err := s.isLoaded(ctx, n.Home, n.Name)
		if err != nil {
			return out, err
		}
		if !loaded { // a stored function, or none
			tasks = tasks[len(tasks)-1:]
		}
	}
	for i := range tasks {
		cluster := tasks[i].Cluster
		if n.Drop && cluster != n.Home {
			if loaded, err := s.isLoaded(ctx, cluster, n.Name); err != nil || !loaded {
				if err != nil {
					return out, err
				}
				continue
			}
		}
		if out.OK, err = s.onCluster(ctx, cluster, string(tasks[i].SQL), cluster == n.Home); err != nil {
			break
		}
		done = append(done, cluster)
	}
	if err == nil || len(done) == 0 {
		return out, err
	}
	e := sqlerr.From(err)
	what := " on cluster " + tasks[len(done)].Cluster
	if n.Drop {
		return out, &sqlerr.Error{Code: e.Code, State: e.State, Message: e.Message + what + "; it is dropped on the clusters before it: run the statement again"}
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTime)
	defer cancel()
	for _, cluster := range done {
		if _, drop := s.onCluster(undo, cluster, "DROP FUNCTION "+sqlval.QuoteName(n.Name), false); drop != nil {
			s.log.Warn("a loadable function could not be taken back", "function", n.Name, "cluster", cluster, "err", drop)
			what += "; it stays on cluster " + cluster
		}
	}
	return out, &sqlerr.Error{Code: e.Code, State: e.State, Message: e.Message + what}
}

// onCluster runs a definition on a cluster's primary; its warnings are the
// client's where they are wanted.
func (s *Session) onCluster(ctx context.Context, cluster, sql string, warns bool) (ok wire.OK, err error) {
	conns, err := s.deps.Fleet.Acquire(ctx, s.wantPrimary(cluster, 1))
	if err != nil {
		return ok, err
	}
	c := conns[0]
	defer func() { c.Release(err) }()
	defer c.Arm(ctx)()
	c.Want(s.settings.state(warns)) // the database need not exist elsewhere
	if ok, err = c.Exec(ctx, sql); err == nil && warns && ok.Warnings > 0 {
		s.diag.read(c)
	}
	return ok, err
}

// isLoaded reports a loadable function of the name on the cluster's primary.
func (s *Session) isLoaded(ctx context.Context, cluster, name string) (bool, error) {
	conns, err := s.deps.Fleet.Acquire(ctx, s.wantPrimary(cluster, 1))
	if err != nil {
		return false, err
	}
	c := conns[0]
	defer func() { c.Release(err) }()
	defer c.Arm(ctx)()
	c.Want(&backend.State{})
	_, rows, err := c.Select(ctx, "SELECT 1 FROM mysql.func WHERE name = "+quoteText(name))
	if err != nil && sqlerr.From(err).Code == sqlerr.TableAccessDenied {
		return false, nil // an account that may not look made none
	}
	return len(rows) > 0, err
}
