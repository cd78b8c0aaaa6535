package session

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/ddl"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
)

// runJob runs a definition over shards as a job. What fails behind its first
// step is never tried again by the session: the job is.
func (s *Session) runJob(ctx context.Context, n *plan.Job, req *executor.Request) (out executor.Outcome, err error) {
	tasks := req.Bound.Tasks.Of(n.Route)
	// Under LOCK TABLES a job would look at the tables on other connections and
	// wait for this session.
	if s.deps.Jobs == nil || s.locksTables() {
		if err := s.runBefore(ctx, n, req); err != nil {
			return out, err
		}
		return executor.RunJob(ctx, req, n.Route, tasks, func([]plan.Task, []error) {})
	}
	job := &ddl.Job{Home: n.Home, Schema: n.Table.Schema, Table: n.Table.Table, Verb: ddl.Verb(n.Verb), Lenient: n.Lenient,
		State: jobSettings(s.settings.state(req.Bound.Plan.NeedsDB)), Steps: jobSteps(n, tasks)}
	if err := s.mayRename(ctx, n); err != nil {
		return out, err
	}
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
	if err = s.keepRule(ctx, n); err == nil {
		err = s.runBefore(ctx, n, req)
	}
	if err == nil {
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

// mayDefine refuses to define a table that a reshard moves. Of one with shards it is
// asked again by who has its lock: a reshard that begins waits for that.
func (s *Session) mayDefine(ctx context.Context, e *planned) error {
	if s.deps.Jobs == nil {
		return nil
	}
	for _, t := range e.defines {
		if err := s.deps.Jobs.May(ctx, s.schemaOr(t.Schema), t.Table); err != nil {
			return err
		}
	}
	return nil
}

// mayRename refuses a new name under which rows were numbered before: another
// Serval may still hold numbers of that sequence that the table's rows have.
func (s *Session) mayRename(ctx context.Context, n *plan.Job) error {
	for _, r := range n.Renames {
		if !r.Numbered {
			continue
		}
		conns, err := s.deps.Fleet.Acquire(ctx, s.wantPrimary(n.Home, 1))
		if err != nil {
			return err
		}
		conns[0].Want(&backend.State{})
		used, err := anyRow(ctx, conns[0], "SELECT 1 FROM serval_meta.sequences WHERE "+rowOf(r.To.Schema, r.To.Table))
		begun := false
		if used { // by the shards that a run before this one has renamed
			begun, err = anyRow(ctx, conns[0], "SELECT 1 FROM serval_meta.ddl_jobs WHERE state = 'failed' AND "+rowOf(n.Table.Schema, n.Table.Table))
		}
		conns[0].Release(err)
		if err != nil {
			return err
		}
		if used && !begun {
			return sqlerr.Refuse("renaming "+r.From.Table+" to "+r.To.Table, "Serval numbers its rows, and has numbered a table of the new name before: a Serval may hold numbers of that one "+
				"which rows of "+r.From.Table+" have", "take a name that was not used yet")
		}
	}
	return nil
}

// anyRow: the query finds something. A table that is not there has nothing.
func anyRow(ctx context.Context, c *backend.Conn, sql string) (bool, error) {
	_, rows, err := c.Select(ctx, sql)
	if missing(err) {
		err = nil
	}
	return len(rows) > 0, err
}

// runBefore makes the databases that the shards' tables stand in, with the
// schema's character set, which is that of tables that name none.
func (s *Session) runBefore(ctx context.Context, n *plan.Job, req *executor.Request) error {
	if len(n.Before) == 0 {
		return nil
	}
	options, err := s.databaseOptions(ctx, n)
	if err != nil {
		return err
	}
	defer func() { // the client asked for no database: that it is there already is none of its notes
		s.diag.rows, s.diag.count, s.diag.repeated, s.diag.readings = s.diag.rows[:0], 0, 0, 0
	}()
	for _, step := range n.Before {
		b := *req.Bound
		b.Plan = &plan.Plan{Root: step}
		tasks := slices.Clone(req.Bound.Tasks.Of(step))
		for i := range tasks {
			tasks[i].SQL = append(slices.Clip(tasks[i].SQL), options...)
		}
		b.Tasks = plan.Tasks{{Leaf: step, Tasks: tasks}}
		r := *req
		r.Bound = &b
		if _, err := executor.Run(ctx, &r); err != nil {
			return err
		}
	}
	return nil
}

// databaseOptions are those of the schema's database at its home, empty where
// there is none.
func (s *Session) databaseOptions(ctx context.Context, n *plan.Job) (string, error) {
	conns, err := s.deps.Fleet.Acquire(ctx, s.wantPrimary(n.Home, 1))
	if err != nil {
		return "", err
	}
	conns[0].Want(&backend.State{})
	_, rows, err := conns[0].Select(ctx, "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = "+quoteText(n.Table.Schema))
	conns[0].Release(err)
	if err != nil || len(rows) != 1 || len(rows[0]) != 2 {
		return "", err
	}
	return " CHARACTER SET " + string(rows[0][0]) + " COLLATE " + string(rows[0][1]), nil
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
		for _, r := range n.Renames {
			for _, p := range []*shardrule.Placement{r.From, r.To} {
				if name := p.Shards[tasks[i].Shard].Table; !slices.Contains(steps[i].Names, name) {
					steps[i].Names = append(steps[i].Names, name)
				}
			}
		}
	}
	return steps
}

// runJobs runs them one after the other. Where one fails those before it stay
// done, and the error says so.
func (s *Session) runJobs(ctx context.Context, n *plan.Jobs, req *executor.Request) (out executor.Outcome, err error) {
	for i, step := range n.Steps {
		b, r := *req.Bound, *req
		b.Plan = &plan.Plan{Root: step, NeedsDB: req.Bound.Plan.NeedsDB}
		r.Bound = &b
		if job, ok := step.(*plan.Job); ok {
			out, err = s.runJob(ctx, job, &r)
		} else {
			out, err = executor.Run(ctx, &r)
		}
		s.wrote(out.GTIDs)
		if err != nil && i == len(n.Undo) && i > 0 {
			if e := s.undoJobs(ctx, n, req); e != nil {
				s.log.Warn("tables made for one that could not be made are left", "err", e)
			}
			return out, err
		}
		if err != nil && i > 0 {
			e := sqlerr.From(err)
			err = (&sqlerr.Error{Code: e.Code, State: e.State, Message: fmt.Sprintf("%s; the first %d of the statement's %d tables are done", e.Message, i, len(n.Steps))}).WithCause(err)
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// undoJobs takes back the steps before the last one, which failed.
func (s *Session) undoJobs(ctx context.Context, n *plan.Jobs, req *executor.Request) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	for _, job := range n.Undo {
		b, r := *req.Bound, *req
		b.Plan = &plan.Plan{Root: job}
		bound, err := b.Plan.Bind(req.Bound.Args, plan.Options{})
		if err != nil {
			return err
		}
		r.Bound = bound
		if _, err := s.runJob(ctx, job, &r); err != nil {
			return err
		}
	}
	return nil
}

// undoTime bounds undoJobs.
const undoTime = time.Minute

// definition is SHOW CREATE TABLE's answer behind the table's name.
var definition = regexp.MustCompile("(?s)^CREATE TABLE `(?:[^`]|``)*` (\\(.*)$")

// likeCounter is what the new table does not have of the other one's.
var likeCounter = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// createLike reads the definition and runs it as a statement of its own.
func (s *Session) createLike(ctx context.Context, n *plan.CreateLike) (executor.Outcome, error) {
	conns, err := s.deps.Fleet.Acquire(ctx, s.wantPrimary(n.From.Cluster, 1))
	if err != nil {
		return executor.Outcome{}, err
	}
	conns[0].Want(&backend.State{})
	_, rows, err := conns[0].Select(ctx, "SHOW CREATE TABLE "+sqlval.QuoteName(n.From.Database)+"."+sqlval.QuoteName(n.From.Table))
	conns[0].Release(err)
	if missing(err) {
		return executor.Outcome{}, sqlerr.New(sqlerr.NoSuchTable, "Table '%s.%s' doesn't exist", n.Source.Schema, n.Source.Table)
	}
	if err != nil {
		return executor.Outcome{}, err
	}
	var body []string
	if len(rows) == 1 && len(rows[0]) > 1 {
		body = definition.FindStringSubmatch(shardrule.LogicalDefinition(string(rows[0][1]), n.Source.Table, n.From.Table))
	}
	if body == nil {
		const wrongObject = 1347
		return executor.Outcome{}, sqlerr.New(wrongObject, "'%s.%s' is not BASE TABLE", n.Source.Schema, n.Source.Table)
	}
	sql := "CREATE TABLE "
	if n.IfNotExists {
		sql += "IF NOT EXISTS "
	}
	sql += sqlval.QuoteName(n.Table.Schema) + "." + sqlval.QuoteName(n.Table.Table) + " " + likeCounter.ReplaceAllString(foreignKey.ReplaceAllString(namedChecks(body[1]), ""), "")
	return s.createAs(ctx, sql)
}

// createAs runs a definition that a server has told.
func (s *Session) createAs(ctx context.Context, sql string) (executor.Outcome, error) {
	saved := s.settings
	defer func() { s.settings = saved }()
	s.settings.set("sql_mode", "''")
	for _, name := range []string{"character_set_client", "character_set_connection"} {
		s.settings.set(name, "utf8mb4")
	}
	s.settings.set("collation_connection", "utf8mb4_general_ci")
	_, out, err := s.inner(ctx, []byte(sql), s.out)
	return out, err
}

// checkName is the name of a CHECK, which the new table's server makes anew.
var checkName = regexp.MustCompile("(?m)^(\\s*)CONSTRAINT `(?:[^`]|``)*` CHECK ")

func namedChecks(body string) string { return checkName.ReplaceAllString(body, "${1}CHECK ") }
