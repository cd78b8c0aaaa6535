package session

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// A logical view is defined in three steps. The view is created on the home
// cluster's primary over empty copies of its tables, in scratch databases; so
// the server checks it, expands its * and knows its columns' types. Its text is
// read back, and the scratch databases are dropped. The text becomes a row of
// serval_meta.views, from which every Serval's catalog takes it.
//
// Scratch databases have fixed names under a named lock: what a Serval that
// died has left is dropped by the next definition.

// scratchLock is the named lock, scratchWait how many seconds a session waits
// for it.
const (
	scratchLock = "serval_scratch"
	scratchWait = 20
)

// definer is one definition at work. Its connection holds the lock.
type definer struct {
	s    *Session
	d    *plan.DefineView
	conn *backend.Conn
	// create is the statement that makes the view, in the session's own state.
	create *plan.Task
}

func (s *Session) defineView(ctx context.Context, d *plan.DefineView, bound *plan.Bound) (out executor.Outcome, err error) {
	conns, err := s.deps.Fleet.Acquire(ctx, s.wantPrimary(d.Home, 1))
	if err != nil {
		return out, err
	}
	c := conns[0]
	defer c.Arm(ctx)()
	defer func() { c.Release(err) }()
	c.Want(&backend.State{})
	w := &definer{s: s, d: d, conn: c, create: &bound.Tasks.Of(d.Create)[0]}
	err = w.locked(ctx, func() error { return w.define(ctx) })
	return out, w.logical(err)
}

// locked runs a definition, the only one at work on the home cluster.
func (w *definer) locked(ctx context.Context, define func() error) error {
	rows, err := w.rows(ctx, fmt.Sprintf("SELECT GET_LOCK('%s', %d)", scratchLock, scratchWait))
	if err != nil {
		return err
	}
	if len(rows) != 1 || string(rows[0][0]) != "1" {
		return sqlerr.Refuse("this definition", "another session's is being worked out", "try again")
	}
	err = define()
	if _, unlock := w.conn.Exec(ctx, "DO RELEASE_LOCK('"+scratchLock+"')"); unlock != nil {
		w.conn.Discard() // the lock goes with the connection
	}
	return err
}

func (w *definer) define(ctx context.Context) error {
	replaced, err := w.taken(ctx)
	if err != nil {
		return err
	}
	if err := w.clear(ctx); err != nil {
		return err
	}
	v, err := w.fromScratch(ctx)
	if again := w.clear(ctx); err == nil {
		err = again
	}
	if err == nil {
		err = w.store(ctx, v)
	}
	if err == nil && replaced {
		// The row is there already: until here a reader saw the old view.
		_, err = w.conn.Exec(ctx, "DROP VIEW IF EXISTS "+w.name())
	}
	return err
}

func (w *definer) name() string {
	return sqlval.QuoteName(w.d.View.Schema) + "." + sqlval.QuoteName(w.d.View.Table)
}

func (w *definer) rows(ctx context.Context, sql string) ([][][]byte, error) {
	_, rows, err := w.conn.Select(ctx, sql)
	return rows, err
}

func (w *definer) exec(ctx context.Context, sql string) error {
	_, err := w.conn.Exec(ctx, sql)
	return err
}

// taken looks for a table or view of the name at home; replaced: a view is
// there that the new one takes the place of.
func (w *definer) taken(ctx context.Context) (replaced bool, err error) {
	v := w.d.View
	rows, err := w.rows(ctx, "SELECT TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = "+quoteText(v.Schema)+" AND TABLE_NAME = "+quoteText(v.Table))
	if err != nil {
		return false, err
	}
	isView := len(rows) > 0 && string(rows[0][0]) == "VIEW"
	const (
		errTableExists = 1050
		errWrongObject = 1347
	)
	switch {
	case len(rows) == 0 && w.d.Alter && !w.d.Exists:
		return false, sqlerr.New(sqlerr.NoSuchTable, "Table '%s.%s' doesn't exist", v.Schema, v.Table)
	case len(rows) == 0:
		return false, nil
	case !isView && (w.d.Replace || w.d.Alter):
		return false, sqlerr.New(errWrongObject, "'%s.%s' is not VIEW", v.Schema, v.Table)
	case !isView || !w.d.Replace && !w.d.Alter:
		e := sqlerr.New(errTableExists, "Table '%s' already exists", v.Table)
		e.State = "42S01"
		return false, e
	}
	return true, nil
}

// clear drops the scratch databases there are.
func (w *definer) clear(ctx context.Context) error {
	rows, err := w.rows(ctx, `SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'serval\_scratch\_%'`)
	for _, r := range rows {
		if err == nil {
			err = w.exec(ctx, "DROP DATABASE IF EXISTS "+sqlval.QuoteName(string(r[0])))
		}
	}
	return err
}

// copies makes the scratch databases and what the definition reads in them.
func (w *definer) copies(ctx context.Context) error {
	for i := range w.d.Schemas {
		if err := w.exec(ctx, "CREATE DATABASE "+sqlval.QuoteName(plan.ScratchDatabase(i))); err != nil {
			return err
		}
	}
	for i := range w.d.Tables {
		if err := w.copyTable(ctx, &w.d.Tables[i]); err != nil {
			return err
		}
	}
	for _, sql := range w.d.Views {
		if err := w.exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// fromScratch has the server write the view down.
func (w *definer) fromScratch(ctx context.Context) (*catalog.View, error) {
	if err := w.copies(ctx); err != nil {
		return nil, err
	}
	l := &w.s.lease
	conns, err := l.Acquire(ctx, w.d.Home, topology.TargetPrimary, 1)
	if err != nil {
		return nil, err
	}
	_, err = conns[0].Exec(ctx, string(w.create.SQL))
	l.Release(conns[0], err)
	if err != nil {
		return nil, err
	}
	return w.read(ctx)
}

// foreignKey is a line of SHOW CREATE TABLE that names another table.
var foreignKey = regexp.MustCompile(`(?m),\n\s*CONSTRAINT [^\n]* FOREIGN KEY [^\n,]*(?:\([^)]*\)[^\n,]*)*`)

// copyTable creates a table as it is elsewhere.
func (w *definer) copyTable(ctx context.Context, t *plan.ScratchTable) error {
	rows, err := w.rowsFrom(ctx, t.From.Cluster, "SHOW CREATE TABLE "+sqlval.QuoteName(t.From.Database)+"."+sqlval.QuoteName(t.From.Table))
	if err != nil {
		return err
	}
	if len(rows) != 1 || len(rows[0]) < 2 {
		return sqlerr.Refuse("this definition", "no server says what "+t.Table.Table+" is like", "")
	}
	_, definition, ok := strings.Cut(string(rows[0][1]), "` (")
	if !ok {
		return sqlerr.Refuse("this definition", t.Table.Table+" is no table on its server", "")
	}
	return w.exec(ctx, "CREATE TABLE "+sqlval.QuoteName(plan.ScratchDatabase(t.Schema))+"."+sqlval.QuoteName(t.Table.Table)+" ("+
		foreignKey.ReplaceAllString(definition, ""))
}

// rowsFrom asks a cluster's primary.
func (w *definer) rowsFrom(ctx context.Context, cluster, sql string) ([][][]byte, error) {
	if cluster == w.d.Home {
		return w.rows(ctx, sql)
	}
	conns, err := w.s.deps.Fleet.Acquire(ctx, w.s.wantPrimary(cluster, 1))
	if err != nil {
		return nil, err
	}
	conns[0].Want(&backend.State{})
	_, rows, err := conns[0].Select(ctx, sql)
	conns[0].Release(err)
	return rows, err
}

// read makes the view of what the server says about it.
func (w *definer) read(ctx context.Context) (*catalog.View, error) {
	d := w.d
	scratch := plan.ScratchDatabase(slices.Index(d.Schemas, d.View.Schema))
	v := &catalog.View{Schema: d.View.Schema, Name: d.View.Table, Algorithm: d.Algorithm, Security: d.Security, Check: d.Check,
		Definer: w.account(), Rows: map[string][]map[string]catalog.Field{}}
	where := " WHERE TABLE_SCHEMA = " + quoteText(scratch) + " AND TABLE_NAME = " + quoteText(d.View.Table)
	for kind, sql := range map[string]string{
		"COLUMNS": "SELECT * FROM information_schema.COLUMNS" + where + " ORDER BY ORDINAL_POSITION",
		"TABLES":  "SELECT * FROM information_schema.TABLES" + where,
		"VIEWS":   "SELECT * FROM information_schema.VIEWS" + where,
		"SHOW":    "SHOW FULL COLUMNS FROM " + sqlval.QuoteName(scratch) + "." + sqlval.QuoteName(d.View.Table),
	} {
		columns, rows, err := w.conn.Select(ctx, sql)
		if err != nil {
			return nil, err
		}
		v.Rows[kind] = fields(columns, rows)
	}
	if len(v.Rows["VIEWS"]) != 1 || len(v.Rows["COLUMNS"]) == 0 {
		return nil, sqlerr.Refuse("this view", "its server does not say what it is like", "")
	}
	row := v.Rows["VIEWS"][0]
	v.Charset, v.Collation = row["CHARACTER_SET_CLIENT"].Text, row["COLLATION_CONNECTION"].Text
	for _, c := range v.Rows["COLUMNS"] {
		v.Columns = append(v.Columns, c["COLUMN_NAME"].Text)
	}
	text, err := router.NewViewText(v.Name, row["VIEW_DEFINITION"].Text, d.Schemas, v.Columns)
	if err != nil {
		return nil, err
	}
	v.Definition, v.Shown, v.Literals = text.Definition, text.Shown, text.Literals
	if w.conn.Flavor() == topology.FlavorMySQL { // not MariaDB, which lists them as aliases
		v.Listed = d.Columns
	}
	row["VIEW_DEFINITION"] = catalog.Field{Text: v.Shown}
	row["DEFINER"] = catalog.Field{Text: strings.ReplaceAll(v.Definer, "`", "")}
	return v, nil
}

// account is the view's definer.
func (w *definer) account() string {
	tokens := scan(w.d.Definer, w.s.settings.mode)
	if len(tokens) == 0 || tokens[0].is("CURRENT_USER") {
		return sqlval.QuoteName(w.s.c.User.Name) + "@" + sqlval.QuoteName("%")
	}
	host := "%"
	if len(tokens) > 2 {
		host = tokens[2].name()
	}
	return sqlval.QuoteName(tokens[0].name()) + "@" + sqlval.QuoteName(host)
}

// fields are rows by their columns' names in upper case.
func fields(columns []wire.Column, rows [][][]byte) []map[string]catalog.Field {
	var out []map[string]catalog.Field
	for _, r := range rows {
		row := map[string]catalog.Field{}
		for i, c := range columns {
			row[strings.ToUpper(string(c.Name))] = catalog.Field{Text: string(r[i]), Null: r[i] == nil, Number: isInteger(c.Type)}
		}
		out = append(out, row)
	}
	return out
}

func isInteger(t byte) bool {
	switch t {
	case wire.TypeTiny, wire.TypeShort, wire.TypeLong, wire.TypeInt24, wire.TypeLongLong:
		return true
	}
	return false
}

// store writes the view's row.
func (w *definer) store(ctx context.Context, v *catalog.View) error {
	properties, err := json.Marshal(v)
	if err != nil {
		return err
	}
	for _, ddl := range []string{
		"CREATE DATABASE IF NOT EXISTS serval_meta",
		"CREATE TABLE IF NOT EXISTS serval_meta.views (schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL," +
			" view_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL," +
			" definition LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, properties LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL," +
			" created TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP," +
			" PRIMARY KEY (schema_name, view_name)) ENGINE=InnoDB",
	} {
		if err := w.exec(ctx, ddl); err != nil {
			return err
		}
	}
	values := []string{text16(v.Schema), text16(v.Name), text16(v.Definition), text16(string(properties))}
	return w.exec(ctx, "REPLACE INTO serval_meta.views (schema_name, view_name, definition, properties) VALUES ("+strings.Join(values, ", ")+")")
}

// text16 is text as SQL that reads alike in every sql_mode.
func text16(s string) string {
	if s == "" {
		return "''"
	}
	return "_utf8mb4 x'" + hex.EncodeToString([]byte(s)) + "'"
}

// scratchName is a scratch database's name.
var scratchName = regexp.MustCompile(plan.ScratchDatabases + `(\d+)`)

// logical gives an error the logical names.
func (w *definer) logical(err error) error {
	if err == nil {
		return nil
	}
	e := *sqlerr.From(err)
	e.Message = scratchName.ReplaceAllStringFunc(e.Message, func(name string) string {
		i, _ := strconv.Atoi(name[len(plan.ScratchDatabases):])
		if i < len(w.d.Schemas) {
			return w.d.Schemas[i]
		}
		return name
	})
	return &e
}

// viewsRead is what a statement's plan needs of the session because of the
// logical views whose definitions are in it.
type viewsRead struct {
	// first names one of them.
	first string
	// collation: text in a definition has this one, empty for any.
	collation string
	// utf8: a definition is not all ASCII.
	utf8 bool
}

// throughViews notes the logical views a statement reads. What they are over
// counts as named by the statement.
func (e *planned) throughViews(cat *catalog.Catalog, db string, st *parser.Statement) {
	views, tables := router.Through(cat, db, st)
	if len(views) == 0 {
		return
	}
	e.tables = append(slices.Clone(e.tables), tables...)
	r := &viewsRead{first: views[0].Schema + "." + views[0].Name}
	for _, v := range views {
		if v.Literals {
			r.collation = v.Collation
		}
		for i := range len(v.Definition) {
			r.utf8 = r.utf8 || v.Definition[i] >= utf8.RuneSelf
		}
	}
	e.views = r
}

// readable refuses views whose definitions would read otherwise in this session.
func (s *Session) readable(r *viewsRead) error {
	collation, known := s.settings.value("collation_connection")
	if r.collation != "" && known && unquote(collation) != r.collation {
		return sqlerr.Refuse("the view "+r.first+" in this session", "its text has the collation "+r.collation+" and the session's is "+unquote(collation),
			"SET collation_connection = "+r.collation)
	}
	if c := s.settings.charset; r.utf8 && c != "utf8mb4" && c != "utf8mb3" && c != "utf8" {
		return sqlerr.Refuse("the view "+r.first+" in this session", "its definition has characters that are not in "+c+" as it is sent", "SET NAMES utf8mb4")
	}
	return nil
}

// invalid makes of a server's error about a name that only a view's definition
// has, the error of a view that is not right any more.
func (e *planned) invalid(err error) error {
	known := sqlerr.From(err)
	if e.views == nil || known.Code != sqlerr.NoSuchTable {
		return err
	}
	for _, t := range e.tables[:e.named] {
		if strings.Contains(known.Message, "."+t.Table+"'") {
			return err
		}
	}
	const errViewInvalid = 1356
	return sqlerr.New(errViewInvalid, "View '%s' references invalid table(s) or column(s) or function(s) or definer/invoker of view lack rights to use them",
		e.views.first).WithCause(err)
}
