// Package ddl keeps a definition over shards (CREATE, ALTER, DROP, TRUNCATE) as
// a job: written down in serval_meta.ddl_jobs on the schema's home cluster
// before the first shard is touched, so that what a crash leaves half done is
// found and finished. docs/ddl.md says how.
package ddl

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
)

// Verb is what a job does to each shard's table.
type Verb string

const (
	// Create makes the table. A Create that fails is taken back.
	Create Verb = "create"
	// Change alters it: what was applied shows in the definition.
	Change Verb = "change"
	// Drop drops it.
	Drop Verb = "drop"
	// Empty empties it, which its definition does not show: the number that
	// the engine gives a table does.
	Empty Verb = "empty"
	// Rename gives tables other names. What was applied shows in which of them
	// there are, and where names are exchanged in the engine's numbers.
	Rename Verb = "rename"
)

// Job is one statement on all shards of a table.
type Job struct {
	ID uint64 `json:"-"`
	// Home is the cluster that has the job's row.
	Home string `json:"-"`
	// Schema and Table are the logical names.
	Schema string `json:"-"`
	Table  string `json:"-"`
	Verb   Verb
	// Lenient: the statement says IF EXISTS or IF NOT EXISTS.
	Lenient bool
	// State is the session's, in which each step runs.
	State Settings
	Steps []Step
}

// Settings are a session's current database and system variables, their values
// as SQL.
type Settings struct {
	DB   string
	Vars [][2]string
}

// Step is the statement on one shard.
type Step struct {
	Shard                    int
	Cluster, Database, Table string
	SQL                      []byte
	// Names are all tables a Rename is about, in the Database.
	Names []string `json:",omitempty"`
	// Before is how the table was, as fingerprint, before the job: empty for no
	// table. After is the same once the step is done.
	Before, After string
	Done          bool
}

// unknown is the fingerprint of an Empty or Rename step where the server does not
// tell.
const unknown = "?"

func (s *Step) place() string {
	if s.Shard < 0 {
		return fmt.Sprintf("%s.%s on cluster %s", s.Database, s.Table, s.Cluster)
	}
	return fmt.Sprintf("shard %d (%s.%s on cluster %s)", s.Shard, s.Database, s.Table, s.Cluster)
}

// same: the two jobs do the same to the same shards.
func (j *Job) same(other *Job) bool {
	return j.Verb == other.Verb && slices.EqualFunc(j.Steps, other.Steps, func(a, b Step) bool {
		return a.Cluster == b.Cluster && a.Database == b.Database && a.Table == b.Table && string(a.SQL) == string(b.SQL)
	})
}

// text is the statement with the logical name.
func (j *Job) text() string {
	s := &j.Steps[0]
	return strings.ToValidUTF8(strings.ReplaceAll(string(s.SQL), sqlval.QuoteName(s.Database)+"."+sqlval.QuoteName(s.Table), sqlval.QuoteName(j.Table)), "?")
}

// progress says which shards have the change.
func (j *Job) progress() string {
	done := 0
	for i := range j.Steps {
		if j.Steps[i].Done {
			done++
		}
	}
	return strconv.Itoa(done) + " of " + strconv.Itoa(len(j.Steps))
}

// counter is what SHOW CREATE TABLE tells of the rows, not of the definition.
var counter = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// fingerprint is a definition without what differs between shards that are the
// same: the physical name and what is called after it.
func fingerprint(definition, physical, logical string) string {
	d := shardrule.LogicalDefinition(counter.ReplaceAllString(definition, ""), logical, physical)
	d = strings.ReplaceAll(d, "`"+strings.ReplaceAll(physical, "`", "``"), "`"+strings.ReplaceAll(logical, "`", "``"))
	sum := sha256.Sum256([]byte(d))
	return hex.EncodeToString(sum[:12])
}

// look reads the fingerprint of a step's table as it is now.
func (j *Job) look(ctx context.Context, servers Servers, s *Step) (string, error) {
	if j.Verb == Rename {
		return j.lookAll(ctx, servers, s)
	}
	rows, err := servers.Select(ctx, s.Cluster, "SHOW CREATE TABLE "+sqlval.QuoteName(s.Database)+"."+sqlval.QuoteName(s.Table))
	if err != nil {
		if noTable(err) {
			return "", nil
		}
		return "", err
	}
	if len(rows) != 1 || len(rows[0]) < 2 {
		return "", fmt.Errorf("SHOW CREATE TABLE of %s gave nothing", s.place())
	}
	if j.Verb == Empty {
		return tableNumber(ctx, servers, s), nil
	}
	return fingerprint(string(rows[0][1]), s.Table, j.Table), nil
}

// lookAll is which of a Rename's tables there are, with their numbers.
func (j *Job) lookAll(ctx context.Context, servers Servers, s *Step) (string, error) {
	var all []string
	for _, name := range s.Names {
		one := Step{Cluster: s.Cluster, Database: s.Database, Table: name, Shard: s.Shard}
		is, err := (&Job{Verb: Empty}).look(ctx, servers, &one)
		if err != nil {
			return "", err
		}
		if is == "" {
			is = "-"
		}
		all = append(all, name+"="+is)
	}
	return strings.Join(all, " "), nil
}

// present is which tables a Rename's fingerprint has, without their numbers.
func present(fingerprint string) string {
	fields := strings.Fields(fingerprint)
	for i, f := range fields {
		_, number, _ := strings.Cut(f, "=")
		fields[i] = "there"
		if number == "-" {
			fields[i] = "missing"
		}
	}
	return strings.Join(fields, " ")
}

// untold: the job's fingerprints may be the same before and after it, as the
// server does not tell the tables' numbers.
func (j *Job) untold(before, now string) bool {
	switch j.Verb {
	case Empty:
		return before == unknown || now == unknown
	case Rename:
		return before == now && strings.Contains(now, "="+unknown)
	case Create, Change, Drop:
	}
	return false
}

// plainName is a name that InnoDB writes down as it is.
var plainName = regexp.MustCompile(`^[0-9A-Za-z_]+$`)

// tableNumber is InnoDB's number of a table, another one after each TRUNCATE.
func tableNumber(ctx context.Context, servers Servers, s *Step) string {
	if !plainName.MatchString(s.Database) || !plainName.MatchString(s.Table) {
		return unknown
	}
	for _, table := range []string{"INNODB_TABLES", "INNODB_SYS_TABLES"} { // MySQL, MariaDB
		rows, err := servers.Select(ctx, s.Cluster, "SELECT TABLE_ID FROM information_schema."+table+" WHERE NAME = "+quote(s.Database+"/"+s.Table))
		if err == nil && len(rows) == 1 {
			return string(rows[0][0])
		}
	}
	return unknown
}

// lockName is the named lock of a table's definition: whoever runs a job on it
// holds that lock at home, so a job whose lock is free has nobody.
func lockName(schema, table string) string {
	sum := sha256.Sum256([]byte(schema + "\x00" + table))
	return "serval_ddl_" + hex.EncodeToString(sum[:16])
}

func (j *Job) encode() (string, error) {
	b, err := json.Marshal(j)
	return text(string(b)), err
}

func quote(s string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), "'", "''") + "'"
}

// text is text as SQL that reads alike in every sql_mode.
func text(s string) string {
	if s == "" {
		return "''"
	}
	return "_utf8mb4 x'" + hex.EncodeToString([]byte(s)) + "'"
}
