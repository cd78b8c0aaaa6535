package reshard

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
)

const (
	jobsTable  = "serval_meta.reshards"
	partsTable = "serval_meta.reshard_parts"
	// jobLock is the named lock of whoever works at a job.
	jobLock = "serval_reshard"
)

// Holder is a connection that holds the job's lock: who loses it loses the lock,
// and can write nothing down any more. For one goroutine.
type Holder interface {
	Select(ctx context.Context, sql string) ([][][]byte, error)
	Exec(ctx context.Context, sql string) error
	// Close frees the lock.
	Close()
}

// JobServers is how a job's worker reaches the primaries, besides Servers.
type JobServers interface {
	Asker
	// Exec runs one statement there in a session that takes every value that a
	// definition may have as its default.
	Exec(ctx context.Context, cluster, sql string) error
	// Lock takes a named lock; nil where somebody else holds it for longer than wait.
	Lock(ctx context.Context, cluster, name string, wait time.Duration) (Holder, error)
}

// Job is one row of the journal.
type Job struct {
	ID uint64 `json:"id"`
	// Cluster has the row.
	Cluster string `json:"cluster"`
	Stage   Stage  `json:"stage"`
	// From and To are the two configurations' texts.
	From string `json:"-"`
	To   string `json:"-"`
	// Tables are the logical names, for people.
	Tables string `json:"tables"`
	By     string `json:"by"`
	// Wish is what another process asks the worker to do; empty: nothing.
	Wish Wish `json:"wish,omitempty"`
	// Worker is who works at it; Idle how long it has said nothing, -1 before the first.
	Worker string        `json:"worker"`
	Idle   time.Duration `json:"idle"`
	// Rows are copied, of Total or so.
	Rows  int64 `json:"rows"`
	Total int64 `json:"total"`
	// Behind is how old the last change was that was read, Dirty the keys that wait.
	Behind time.Duration `json:"behind"`
	Dirty  int64         `json:"dirty"`
	// Detail says what goes on, Trouble why it stopped.
	Detail  string `json:"detail"`
	Trouble string `json:"trouble"`
	// Verified is what the last comparison found, empty before one.
	Verified string `json:"verified"`
	// Created and Changed are in UTC.
	Created string `json:"created"`
	Changed string `json:"changed"`
}

// Wish is what a command asks the worker of a job for.
type Wish string

// The wishes.
const (
	// WishStop: end, the caller takes over.
	WishStop Wish = "stop"
	// WishVerify: compare.
	WishVerify Wish = "verify"
)

// ErrBusy: somebody else works at the job.
var ErrBusy = errors.New("another process works at the job")

const jobColumns = "id, stage, from_rules, to_rules, tables, started_by, wish, worker, TIMESTAMPDIFF(MICROSECOND, worker_at, UTC_TIMESTAMP(6)), rows_copied, rows_total," +
	" behind_us, dirty, detail, trouble, verified, created_at, changed_at"

// FindJobs reads the jobs of clusters, the latest first, at most ten of each. Where there
// was never one there is none.
func FindJobs(ctx context.Context, servers Asker, clusters []string) ([]Job, error) {
	var out []Job
	for _, cluster := range clusters {
		rows, err := servers.Select(ctx, cluster, "SELECT "+jobColumns+" FROM "+jobsTable+" ORDER BY id DESC LIMIT 10")
		if err != nil {
			if code := sqlerr.From(err).Code; code == sqlerr.NoSuchTable || code == sqlerr.BadDB {
				continue
			}
			return nil, fmt.Errorf("cluster %s: %w", cluster, err)
		}
		for _, r := range rows {
			out = append(out, jobOf(cluster, r))
		}
	}
	return out, nil
}

func jobOf(cluster string, r [][]byte) Job {
	id, _ := strconv.ParseUint(string(r[0]), 10, 64)
	idle := time.Duration(-1)
	if r[8] != nil {
		idle = time.Duration(number(r[8])) * time.Microsecond
	}
	return Job{ID: id, Cluster: cluster, Stage: Stage(r[1]), From: string(r[2]), To: string(r[3]), Tables: string(r[4]), By: string(r[5]), Wish: Wish(r[6]), Worker: string(r[7]),
		Idle: idle, Rows: number(r[9]), Total: number(r[10]), Behind: time.Duration(number(r[11])) * time.Microsecond, Dirty: number(r[12]),
		Detail: string(r[13]), Trouble: string(r[14]), Verified: string(r[15]), Created: string(r[16]), Changed: string(r[17])}
}

// Ask writes down what the worker of a job is asked for.
func Ask(ctx context.Context, servers JobServers, job *Job, w Wish) error {
	set := "wish = " + quote(string(w))
	if w == WishVerify {
		set += ", verified = NULL"
	}
	return servers.Exec(ctx, job.Cluster, "UPDATE "+jobsTable+" SET "+set+" WHERE id = "+strconv.FormatUint(job.ID, 10))
}

// Amend gives a job other texts of its rules, as long as it is in the stage it was
// found in, and between turns.
func Amend(ctx context.Context, servers JobServers, job *Job, from, to string) error {
	switch job.Stage {
	case Planned, Creating, Copying, Following, Reversing:
	default:
		return fmt.Errorf("the job is %s, and its rules stay as they are; %s", job.Stage, job.Stage.May())
	}
	return servers.Exec(ctx, job.Cluster, fmt.Sprintf("UPDATE %s SET from_rules = %s, to_rules = %s WHERE id = %d AND stage = %s", jobsTable, quote(from), quote(to), job.ID, quote(string(job.Stage))))
}

// JobLog is the journal of one cluster with its lock held. Safe for concurrent use.
type JobLog struct {
	cluster string
	worker  string
	mu      sync.Mutex
	held    Holder // guarded by mu
}

var _ Journal = (*jobParts)(nil)

// OpenJournal takes the lock; ErrBusy where somebody else holds it for longer than
// wait. The tables are made where they are missing.
func OpenJournal(ctx context.Context, servers JobServers, cluster, worker string, wait time.Duration) (*JobLog, error) {
	held, err := servers.Lock(ctx, cluster, jobLock, wait)
	if err != nil {
		return nil, fmt.Errorf("%w on cluster %s: %w", ErrJournal, cluster, err)
	}
	if held == nil {
		return nil, ErrBusy
	}
	l := &JobLog{cluster: cluster, worker: worker, held: held}
	for _, sql := range journalTables {
		if err := held.Exec(ctx, sql); err != nil {
			held.Close()
			return nil, fmt.Errorf("%w on cluster %s: %w", ErrJournal, cluster, err)
		}
	}
	return l, nil
}

// journalTables make the journal. Names of tables are as the servers spell them.
var journalTables = []string{
	"CREATE DATABASE IF NOT EXISTS serval_meta",
	"CREATE TABLE IF NOT EXISTS " + jobsTable + " (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, stage VARCHAR(16) NOT NULL, wish VARCHAR(16) NOT NULL DEFAULT ''," +
		" from_rules LONGTEXT NOT NULL, to_rules LONGTEXT NOT NULL, tables LONGTEXT NOT NULL, started_by VARCHAR(255) NOT NULL, worker VARCHAR(255) NOT NULL DEFAULT ''," +
		" worker_at DATETIME(6), rows_copied BIGINT NOT NULL DEFAULT 0, rows_total BIGINT NOT NULL DEFAULT 0, behind_us BIGINT NOT NULL DEFAULT 0, dirty BIGINT NOT NULL DEFAULT 0," +
		" detail VARCHAR(1024) NOT NULL DEFAULT '', trouble VARCHAR(2048) NOT NULL DEFAULT '', verified LONGTEXT, created_at DATETIME(6) NOT NULL, changed_at DATETIME(6) NOT NULL)" +
		" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
	"CREATE TABLE IF NOT EXISTS " + partsTable + " (job BIGINT UNSIGNED NOT NULL, kind VARCHAR(16) NOT NULL, cluster VARCHAR(64) NOT NULL, db VARCHAR(64) NOT NULL, tbl VARCHAR(64) NOT NULL," +
		" schema_name VARCHAR(64) NOT NULL DEFAULT '', table_name VARCHAR(64) NOT NULL DEFAULT '', last_key LONGBLOB, num_rows BIGINT NOT NULL DEFAULT 0, num_bytes BIGINT NOT NULL DEFAULT 0," +
		" done TINYINT NOT NULL DEFAULT 0, gtids LONGTEXT, PRIMARY KEY (job, kind, cluster, db, tbl)) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
}

// Close frees the lock.
func (l *JobLog) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held.Close()
}

func (l *JobLog) query(ctx context.Context, sql string) ([][][]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, end := unhurried(ctx)
	defer end()
	rows, err := l.held.Select(ctx, sql)
	return rows, l.broken(err)
}

// journalEnds is how long a statement of the journal may go on when what it was
// for has ended.
const journalEnds = 2 * time.Second

// unhurried is ctx that ends journalEnds later: a statement killed on its server
// may take the next one on the connection with it, which says why the work ended.
func unhurried(ctx context.Context) (_ context.Context, end func()) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(journalEnds, cancel) })
	return late, func() { stop(); cancel() }
}

// broken: who cannot write to the journal may have lost its lock.
func (l *JobLog) broken(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w on cluster %s: %w", ErrJournal, l.cluster, err)
}

func (l *JobLog) exec(ctx context.Context, sql string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, end := unhurried(ctx)
	defer end()
	return l.broken(l.held.Exec(ctx, sql))
}

// Open are the jobs that have not ended, the latest first.
func (l *JobLog) Open(ctx context.Context) ([]Job, error) {
	rows, err := l.query(ctx, "SELECT "+jobColumns+" FROM "+jobsTable+" WHERE stage NOT IN ('finished', 'cancelled') ORDER BY id DESC")
	var out []Job
	for _, r := range rows {
		out = append(out, jobOf(l.cluster, r))
	}
	return out, err
}

// New writes a job down.
func (l *JobLog) New(ctx context.Context, j *Job) error {
	err := l.exec(ctx, "INSERT INTO "+jobsTable+" (stage, from_rules, to_rules, tables, started_by, rows_total, created_at, changed_at) VALUES ("+
		strings.Join([]string{quote(string(Planned)), quote(j.From), quote(j.To), quote(j.Tables), quote(j.By), strconv.FormatInt(j.Total, 10)}, ", ")+", UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))")
	if err != nil {
		return err
	}
	rows, err := l.query(ctx, "SELECT LAST_INSERT_ID()")
	if err == nil {
		j.ID, err = strconv.ParseUint(string(rows[0][0]), 10, 64)
	}
	j.Stage, j.Cluster = Planned, l.cluster
	return err
}

// Become changes the job's stage.
func (l *JobLog) Become(ctx context.Context, j *Job, e Event) error {
	to, err := j.Stage.After(e)
	if err != nil {
		return err
	}
	err = l.exec(ctx, fmt.Sprintf("UPDATE %s SET stage = %s, trouble = '', changed_at = UTC_TIMESTAMP(6) WHERE id = %d AND stage = %s", jobsTable, quote(string(to)), j.ID, quote(string(j.Stage))))
	if err == nil {
		j.Stage = to
	}
	return err
}

// Beat says that the worker lives and what the job has done, and gives what it is
// asked for.
func (l *JobLog) Beat(ctx context.Context, j *Job) (Wish, error) {
	err := l.exec(ctx, fmt.Sprintf("UPDATE %s SET worker = %s, worker_at = UTC_TIMESTAMP(6), rows_copied = %d, rows_total = GREATEST(rows_total, %d), behind_us = %d, dirty = %d,"+
		" detail = %s, trouble = %s WHERE id = %d", jobsTable, quote(l.worker), j.Rows, j.Rows, j.Behind.Microseconds(), j.Dirty, quote(clip(j.Detail, 1024)), quote(clip(j.Trouble, 2048)), j.ID))
	if err != nil {
		return "", err
	}
	rows, err := l.query(ctx, fmt.Sprintf("SELECT wish FROM %s WHERE id = %d", jobsTable, j.ID))
	if err != nil || len(rows) != 1 {
		return "", err
	}
	return Wish(rows[0][0]), nil
}

// clip is at most n characters of a text.
func clip(text string, n int) string {
	text = strings.ToValidUTF8(text, "?")
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}

// Granted says that a wish has been met.
func (l *JobLog) Granted(ctx context.Context, j *Job) error {
	return l.exec(ctx, fmt.Sprintf("UPDATE %s SET wish = '' WHERE id = %d", jobsTable, j.ID))
}

// Found writes down what a comparison found.
func (l *JobLog) Found(ctx context.Context, j *Job, verified string) error {
	j.Verified = verified
	return l.exec(ctx, fmt.Sprintf("UPDATE %s SET verified = %s, wish = '' WHERE id = %d", jobsTable, quote(verified), j.ID))
}

// doubt takes back what the last comparison found.
func (l *JobLog) doubt(ctx context.Context, j *Job) error {
	j.Verified = ""
	return l.exec(ctx, fmt.Sprintf("UPDATE %s SET verified = NULL WHERE id = %d", jobsTable, j.ID))
}
