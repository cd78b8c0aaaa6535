package ddl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
)

// Servers is how jobs reach the clusters' primaries. Safe for concurrent use.
type Servers interface {
	// Clusters are their names.
	Clusters() []string
	Select(ctx context.Context, cluster, sql string) ([][][]byte, error)
	// ExecIn runs one statement in a session's state.
	ExecIn(ctx context.Context, cluster string, in Settings, sql string) error
	// Lock takes a named lock on the primary and gives the connection that holds
	// it; nil where somebody else holds it for longer than wait.
	Lock(ctx context.Context, cluster, name string, wait time.Duration) (Holder, error)
}

// Holder is a connection with a named lock. For one goroutine.
type Holder interface {
	Select(ctx context.Context, sql string) ([][][]byte, error)
	Exec(ctx context.Context, sql string) error
	// Close frees the lock.
	Close()
}

const (
	jobsTable = "serval_meta.ddl_jobs"
	// givenTable says which tables got the rule of new_tables:; one that is
	// dropped loses it.
	givenTable = "serval_meta.tables"

	// lockWait is how long a statement waits for another one on the same table.
	lockWait = 20 * time.Second
	// settleTime bounds what is done after a step failed, whatever became of
	// the statement.
	settleTime = 20 * time.Second
	// lockWaitTimeout is ER_LOCK_WAIT_TIMEOUT, tableExists
	// ER_TABLE_EXISTS_ERROR.
	lockWaitTimeout = 1205
	tableExists     = 1050
)

// States of a job's row. Only a running one is taken up again.
const (
	running = "running"
	done    = "done"
	failed  = "failed"  // some shards have it; the same statement goes on
	undone  = "undone"  // no shard has it
	givenUp = "givenup" // failed, and another statement came behind it
)

// Jobs runs them. Safe for concurrent use.
type Jobs struct {
	// Moves, if not nil, says why the definition of a table (empty: of any of the
	// schema) must stay as it is now: a reshard moves it. Set before use.
	Moves func(ctx context.Context, schema, table string) error
	// Changed, if not nil, is told of tables that other Servals have changed, or
	// are changing. Set before use.
	Changed func(ctx context.Context, schema, table string) error

	servers Servers
	log     *slog.Logger
	owner   string
	// followed is how far each cluster's jobs have been told of; Run's alone.
	followed map[string]*followed
}

// May asks Moves.
func (q *Jobs) May(ctx context.Context, schema, table string) error {
	if q.Moves == nil {
		return nil
	}
	return q.Moves(ctx, schema, table)
}

// New makes one; Run takes up what others have left.
func New(servers Servers, log *slog.Logger) *Jobs {
	host, _ := os.Hostname()
	return &Jobs{servers: servers, log: log, owner: host + ":" + strconv.Itoa(os.Getpid()), followed: map[string]*followed{}}
}

// Running is a job whose lock this process holds.
type Running struct {
	*Job
	jobs *Jobs
	held Holder
}

// Begin waits for other definitions of the table to end, finishes what one of
// them has left, looks at every shard and writes the job down. Nothing is
// changed on any shard where it fails. Close must be called on what it gives.
//
// A step that is Done needs no run: the table is as the statement wants it.
func (q *Jobs) Begin(ctx context.Context, j *Job) (*Running, error) {
	held, err := q.Alone(ctx, j.Home, j.Schema, j.Table)
	if err != nil {
		return nil, err
	}
	r := &Running{Job: j, jobs: q, held: held}
	if err := r.begin(ctx); err != nil {
		held.Close()
		return nil, err
	}
	return r, nil
}

// Close frees the lock.
func (r *Running) Close() { r.held.Close() }

func (r *Running) begin(ctx context.Context) error {
	left, err := r.left(ctx)
	if err != nil {
		return err
	}
	for _, old := range left {
		if old.same(r.Job) {
			r.Job.ID, r.Job.Steps = old.ID, old.Steps
			continue
		}
		if err := r.makeWay(ctx, old); err != nil {
			return err
		}
	}
	if r.ID != 0 {
		if err := r.compare(ctx); err != nil {
			return err
		}
		return r.save(ctx, running, nil)
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	if err := r.mayRun(); err != nil {
		return err
	}
	return r.insert(ctx)
}

// left are the jobs on the table that did not come to their end.
func (r *Running) left(ctx context.Context) ([]*Job, error) {
	rows, err := r.held.Select(ctx, "SELECT id, steps FROM "+jobsTable+" WHERE schema_name = "+text(r.Schema)+" AND table_name = "+text(r.Table)+
		" AND state IN ('"+running+"', '"+failed+"') ORDER BY id")
	if err != nil {
		if noTable(err) {
			return nil, r.makeTable(ctx)
		}
		return nil, err
	}
	var out []*Job
	for _, row := range rows {
		j, err := decode(r.Home, r.Schema, r.Table, row[0], row[1])
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}

func decode(home, schema, table string, id, steps []byte) (*Job, error) {
	j := &Job{}
	n, err := strconv.ParseUint(string(id), 10, 64)
	if err == nil {
		err = json.Unmarshal(steps, j)
	}
	if err != nil {
		return nil, fmt.Errorf("job %s in %s cannot be read: %w", id, jobsTable, err)
	}
	j.ID, j.Home, j.Schema, j.Table = n, home, schema, table
	return j, nil
}

func (r *Running) makeTable(ctx context.Context) error {
	for _, sql := range []string{
		"CREATE DATABASE IF NOT EXISTS serval_meta",
		"CREATE TABLE IF NOT EXISTS " + jobsTable + " (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY," +
			" schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL," +
			" statement LONGTEXT CHARACTER SET utf8mb4 NOT NULL, state VARCHAR(12) CHARACTER SET ascii NOT NULL, progress VARCHAR(40) CHARACTER SET ascii NOT NULL," +
			" steps LONGTEXT CHARACTER SET utf8mb4 NOT NULL, error TEXT CHARACTER SET utf8mb4, owner VARCHAR(300) CHARACTER SET utf8mb4 NOT NULL," +
			" started TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP," +
			" KEY (schema_name, table_name, state), KEY (state)) ENGINE=InnoDB",
	} {
		if err := r.held.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// makeWay ends an older job on the table, so that another can begin.
func (r *Running) makeWay(ctx context.Context, old *Job) error {
	o := &Running{Job: old, jobs: r.jobs, held: r.held}
	rows, err := r.held.Select(ctx, "SELECT state FROM "+jobsTable+" WHERE id = "+strconv.FormatUint(old.ID, 10))
	if err != nil {
		return err
	}
	if len(rows) == 1 && string(rows[0][0]) == running {
		err := o.resume(ctx)
		if err == nil {
			return nil
		}
		if lost(err) {
			return sqlerr.New(sqlerr.UnknownError, "Serval: an earlier change of table %s.%s is not finished, and cannot be now: %s",
				r.Schema, r.Table, sqlerr.From(err).Message).WithCause(err)
		}
	}
	return o.save(ctx, givenUp, errors.New("another statement on the table came behind it"))
}

// look notes how each shard is before the job.
func (r *Running) look(ctx context.Context) error {
	now, errs := r.states(ctx)
	for i := range r.Steps {
		if errs[i] != nil {
			return r.unreachable(&r.Steps[i], errs[i])
		}
		r.Steps[i].Before = now[i]
	}
	return nil
}

func (r *Running) unreachable(s *Step, err error) error {
	e := sqlerr.From(err)
	return (&sqlerr.Error{Code: e.Code, State: e.State, Message: fmt.Sprintf("%s; %s of table %s does not say what it is like, "+
		"so nothing was changed on any shard; try again when it answers", e.Message, s.place(), r.Table)}).WithCause(err)
}

// states are the shards' fingerprints now; clusters are asked side by side.
func (r *Running) states(ctx context.Context) ([]string, []error) {
	now, errs := make([]string, len(r.Steps)), make([]error, len(r.Steps))
	clusters := map[string][]int{}
	for i := range r.Steps {
		clusters[r.Steps[i].Cluster] = append(clusters[r.Steps[i].Cluster], i)
	}
	var all sync.WaitGroup
	for _, steps := range clusters {
		all.Go(func() {
			var dead error
			for _, i := range steps {
				if errs[i] = dead; dead == nil {
					now[i], errs[i] = r.Job.look(ctx, r.jobs.servers, &r.Steps[i])
					if lost(errs[i]) {
						dead = errs[i]
					}
				}
			}
		})
	}
	all.Wait()
	return now, errs
}

// mayRun refuses what would only work on some of the shards, before any is
// touched, and marks what needs no run.
func (r *Running) mayRun() error {
	if r.Verb == Rename {
		return r.mayRename()
	}
	var with, without []*Step
	for i := range r.Steps {
		if s := &r.Steps[i]; s.Before == "" {
			without = append(without, s)
		} else {
			with = append(with, s)
		}
	}
	if len(with) == 0 || len(without) == 0 {
		return nil // all servers say the same
	}
	switch {
	case r.Verb == Drop:
		for _, s := range without {
			s.Done = true
		}
	case r.Verb == Create && !r.Lenient:
		return &sqlerr.Error{Code: tableExists, State: "42S01", Message: fmt.Sprintf("Table '%s' already exists; it is on %d of %d shards, such as %s, and not on %s; "+
			"CREATE TABLE IF NOT EXISTS makes it where it is missing", r.Table, len(with), len(r.Steps), with[0].place(), without[0].place())}
	case r.Verb == Change || r.Verb == Empty:
		return sqlerr.New(sqlerr.NoSuchTable, "Table '%s.%s' doesn't exist on %s, and does on %d of %d shards; nothing was changed; "+
			"CREATE TABLE IF NOT EXISTS or `serval check --live --repair` makes it", r.Schema, r.Table, without[0].place(), len(with), len(r.Steps))
	}
	return nil
}

// mayRename refuses where the shards have other ones of the tables.
func (r *Running) mayRename() error {
	first := &r.Steps[0]
	for i := range r.Steps {
		s := &r.Steps[i]
		if present(s.Before) != present(first.Before) {
			return sqlerr.New(sqlerr.NoSuchTable, "The tables of this rename are there on some shards only: %s has %s, and %s has %s; nothing was changed; "+
				"`serval check --live` tells which are missing", first.place(), first.Before, s.place(), s.Before)
		}
	}
	return nil
}

func (r *Running) insert(ctx context.Context) error {
	steps, err := r.encode()
	if err != nil {
		return err
	}
	insert := "INSERT INTO " + jobsTable + " (schema_name, table_name, statement, state, progress, steps, owner) VALUES (" +
		strings.Join([]string{text(r.Schema), text(r.Table), text(r.text()), "'" + running + "'", "'" + r.progress() + "'", steps, text(r.jobs.owner)}, ", ") + ")"
	if err := r.held.Exec(ctx, insert); err != nil {
		return err
	}
	rows, err := r.held.Select(ctx, "SELECT LAST_INSERT_ID()")
	if err == nil && len(rows) == 1 {
		r.ID, err = strconv.ParseUint(string(rows[0][0]), 10, 64)
	}
	if err == nil && r.ID == 0 {
		err = errors.New("serval_meta.ddl_jobs: the job's row has no number")
	}
	return err
}

// save writes down where the job stands.
func (r *Running) save(ctx context.Context, state string, why error) error {
	steps, err := r.encode()
	if err != nil {
		return err
	}
	message := "NULL"
	if why != nil {
		message = text(sqlerr.From(why).Message)
	}
	return r.held.Exec(ctx, "UPDATE "+jobsTable+" SET state = '"+state+"', progress = '"+r.progress()+"', steps = "+steps+", error = "+message+
		", owner = "+text(r.jobs.owner)+", changed = CURRENT_TIMESTAMP WHERE id = "+strconv.FormatUint(r.ID, 10))
}

// Ended notes how some steps went, by their number.
func (r *Running) Ended(ctx context.Context, errs map[int]error) {
	for i, err := range errs {
		if err == nil {
			r.Steps[i].Done = true
		}
	}
	_ = r.save(ctx, running, nil) // what is not written is found out by looking
}

// End closes the job: err is the first that a step gave, nil where all are
// done. It gives the error the client is to see, which says what stands where.
func (r *Running) End(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	if err == nil {
		if r.Verb == Drop {
			_ = r.held.Exec(ctx, "DELETE FROM "+givenTable+" WHERE schema_name = "+text(r.Schema)+" AND table_name = "+text(r.Table)) // where there is such a table
		}
		if err := r.save(ctx, done, nil); err != nil {
			r.jobs.log.Warn("a finished job could not be written down; it will be looked at again", "table", r.Table, "job", r.ID, "err", err)
		}
		_ = r.held.Exec(ctx, "DELETE FROM "+jobsTable+" WHERE state <> '"+running+"' AND changed < NOW() - INTERVAL 30 DAY LIMIT 1000")
		return nil
	}
	return r.failed(ctx, err)
}

// failed finds out what the shards have and decides what becomes of the job.
func (r *Running) failed(ctx context.Context, err error) error {
	unsure := r.settle(ctx)
	if r.Verb == Create && unsure == 0 {
		return r.takeBack(ctx, err)
	}
	applied := r.applied()
	switch {
	case len(applied) == 0 && unsure == 0:
		r.close(ctx, undone, err)
		return err
	case len(applied) == len(r.Steps):
		r.close(ctx, done, nil)
		return nil
	}
	state, do := failed, "mend the cause and run the same statement again, which goes on where it is missing"
	if lost(err) {
		state, do = running, "Serval goes on with the others by itself when their servers answer"
	}
	out := r.told(err, applied, do)
	r.close(ctx, state, out)
	return out
}

// settle marks the steps that the shards show to be done; unsure is how many
// shards did not say.
func (r *Running) settle(ctx context.Context) (unsure int) {
	now, errs := r.states(ctx)
	for i := range r.Steps {
		s := &r.Steps[i]
		switch {
		case errs[i] != nil:
			if !s.Done {
				unsure++
			}
		case s.Done, s.Before != unknown && now[i] != s.Before:
			s.Done, s.After = true, now[i]
		}
	}
	return unsure
}

func (r *Running) applied() []*Step {
	var out []*Step
	for i := range r.Steps {
		if r.Steps[i].Done {
			out = append(out, &r.Steps[i])
		}
	}
	return out
}

// takeBack drops the tables that a failed CREATE has made. One with rows in it
// stays.
func (r *Running) takeBack(ctx context.Context, err error) error {
	var stay []*Step
	made := 0
	for _, s := range r.applied() {
		if s.Before != "" {
			continue
		}
		made++
		name := sqlval.QuoteName(s.Database) + "." + sqlval.QuoteName(s.Table)
		rows, e := r.jobs.servers.Select(ctx, s.Cluster, "SELECT 1 FROM "+name+" LIMIT 1")
		if e == nil && len(rows) == 0 {
			e = r.jobs.servers.ExecIn(ctx, s.Cluster, Settings{}, "DROP TABLE IF EXISTS "+name)
		}
		if e != nil || len(rows) > 0 {
			stay = append(stay, s)
			continue
		}
		s.Done, s.After = false, ""
	}
	if len(stay) > 0 {
		out := r.told(err, stay, "mend the cause and run it again with IF NOT EXISTS, or DROP TABLE")
		r.close(ctx, failed, out)
		return out
	}
	r.close(ctx, undone, err)
	if made == 0 {
		return err
	}
	e := sqlerr.From(err)
	return (&sqlerr.Error{Code: e.Code, State: e.State, Message: fmt.Sprintf("%s; %d of %d shards of table %s had made it and have dropped it again: nothing is left of the statement",
		e.Message, made, len(r.Steps), r.Table)}).WithCause(err)
}

// told is err with what stands where.
func (r *Running) told(err error, applied []*Step, do string) error {
	e := sqlerr.From(err)
	var missing *Step
	for i := range r.Steps {
		if !r.Steps[i].Done && missing == nil {
			missing = &r.Steps[i]
		}
	}
	where := ""
	if missing != nil {
		where = ", " + missing.place() + " is the first without it"
	}
	return (&sqlerr.Error{Code: e.Code, State: e.State, Message: fmt.Sprintf("%s; table %s: %d of %d shards have the change%s; %s (job %d in %s on cluster %s)",
		e.Message, r.Table, len(applied), len(r.Steps), where, do, r.ID, jobsTable, r.Home)}).WithCause(err)
}

func (r *Running) close(ctx context.Context, state string, why error) {
	if err := r.save(ctx, state, why); err != nil {
		r.jobs.log.Warn("a job's end could not be written down; it will be looked at again", "table", r.Table, "job", r.ID, "err", err)
	}
}

// noTable: there is none yet.
func noTable(err error) bool {
	code := sqlerr.From(err).Code
	return code == sqlerr.NoSuchTable || code == sqlerr.BadDB
}

// lost: the server could not be reached, or went away: the same statement may
// well succeed later.
func lost(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false // who ended the statement does not want it to go on
	}
	var e *sqlerr.Error
	if !errors.As(err, &e) {
		return true
	}
	switch e.Code {
	case sqlerr.ServerLost, sqlerr.CannotConnect, sqlerr.ServerShutdown, sqlerr.TooManyConnections, sqlerr.OptionPreventsWrite, 2006:
		return true
	}
	return false
}

// Alone is the lock under which no other definition of the table runs, for one
// that keeps no job. Close frees it.
func (q *Jobs) Alone(ctx context.Context, home, schema, table string) (Holder, error) {
	held, err := q.alone(ctx, home, schema, table)
	if err != nil {
		return nil, err
	}
	if err := q.May(ctx, schema, table); err != nil {
		held.Close()
		return nil, err
	}
	return held, nil
}

// Settled returns when no definition of the table is under way: those that were
// left are finished. Moves must refuse others by then.
func (q *Jobs) Settled(ctx context.Context, home, schema, table string) error {
	held, err := q.alone(ctx, home, schema, table)
	if err != nil {
		return err
	}
	defer held.Close()
	return q.finish(ctx, held, home, schema, table)
}

func (q *Jobs) alone(ctx context.Context, home, schema, table string) (Holder, error) {
	held, err := q.servers.Lock(ctx, home, lockName(schema, table), lockWait)
	if err != nil || held != nil {
		return held, err
	}
	return nil, sqlerr.New(lockWaitTimeout, "Lock wait timeout exceeded; another session changes the definition of table %s.%s (see %s on cluster %s); try again",
		schema, table, jobsTable, home)
}
