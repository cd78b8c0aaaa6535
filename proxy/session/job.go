package session

import (
	"context"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/ddl"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/router/plan"
)

// runJob runs a definition over shards as a job. What fails behind its first
// step is never tried again by the session: the job is.
func (s *Session) runJob(ctx context.Context, n *plan.Job, req *executor.Request) (out executor.Outcome, err error) {
	tasks := req.Bound.Tasks[n.Route]
	if s.deps.Jobs == nil {
		if err := s.runBefore(ctx, n, req); err != nil {
			return out, err
		}
		return executor.RunJob(ctx, req, n.Route, tasks, func([]plan.Task, []error) {})
	}
	job := &ddl.Job{Home: n.Home, Schema: n.Table.Schema, Table: n.Table.Table, Verb: ddl.Verb(n.Verb), Lenient: n.Lenient,
		State: jobSettings(s.settings.state(req.Bound.Plan.NeedsDB)), Steps: jobSteps(n, tasks)}
	run, err := s.deps.Jobs.Begin(ctx, job)
	if err != nil {
		return out, err
	}
	defer run.Close()
	var left []plan.Task
	place := map[*byte]int{} // a task's step, by its text
	for i := range tasks {
		if !run.Steps[i].Done {
			place[&tasks[i].SQL[0]] = i
			left = append(left, tasks[i])
		}
	}
	if err = s.runBefore(ctx, n, req); err == nil {
		out, err = executor.RunJob(ctx, req, n.Route, left, func(tasks []plan.Task, errs []error) {
			ended := map[int]error{}
			for i := range tasks {
				ended[place[&tasks[i].SQL[0]]] = errs[i]
			}
			run.Ended(ctx, ended)
		})
	}
	if err = run.End(ctx, err); err != nil {
		_ = s.refresh(context.WithoutCancel(ctx), []plan.TableName{n.Table})
		e := sqlerr.From(err)
		return out, &sqlerr.Error{Code: e.Code, State: e.State, Message: e.Message}
	}
	return out, nil
}

// runBefore makes what the shards' tables stand in.
func (s *Session) runBefore(ctx context.Context, n *plan.Job, req *executor.Request) error {
	for _, step := range n.Before {
		b := *req.Bound
		b.Plan = &plan.Plan{Root: step}
		r := *req
		r.Bound = &b
		if _, err := executor.Run(ctx, &r); err != nil {
			return err
		}
	}
	return nil
}

func jobSettings(st *backend.State) ddl.Settings {
	out := ddl.Settings{DB: st.DB}
	for _, v := range st.Vars {
		out.Vars = append(out.Vars, [2]string{v.Name, v.SQL})
	}
	return out
}

// jobSteps are the tasks with the tables they are about.
func jobSteps(n *plan.Job, tasks []plan.Task) []ddl.Step {
	steps := make([]ddl.Step, len(tasks))
	for i := range tasks {
		shard := n.Route.Choice.Placement.Shards[tasks[i].Shard]
		steps[i] = ddl.Step{Shard: tasks[i].Shard, Cluster: shard.Cluster, Database: shard.Database, Table: shard.Table, SQL: tasks[i].SQL}
	}
	return steps
}
