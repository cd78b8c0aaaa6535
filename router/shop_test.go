package router

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// shop is the catalog of the plan cases: the tables of testdata/schema.sql
// with their rules.
func shop(t testing.TB) *catalog.Catalog {
	t.Helper()
	tables := tablesOfSchema(t)
	c := &catalog.Catalog{
		Version: 1, Home: "c0",
		Clusters:    map[string]*topology.Cluster{"c0": {Name: "c0"}, "c1": {Name: "c1"}},
		Schemas:     map[string]*catalog.Schema{"shop": {Name: "shop", Home: "c0", Tables: tables}},
		Information: informationOf(),
		Collations: map[string]catalog.Collation{
			"utf8mb4_general_ci": {Name: "utf8mb4_general_ci", PadSpace: true, PadWeight: []byte{0, 0x20}},
		},
	}
	hash, err := shardrule.NewHash(8)
	require.NoError(t, err)
	sharded := func(name, key string) {
		p := &shardrule.Placement{Schema: "shop", Table: name, Kind: shardrule.Sharded, Algorithm: hash, Column: keyColumn(t, tables[name], key)}
		for i := range 8 {
			p.Shards = append(p.Shards, topology.Shard{Index: i, Cluster: "c" + strconv.Itoa(i/4), Database: fmt.Sprintf("shop_%d", i), Table: name})
		}
		tables[name].Placement = p
	}
	sharded("users", "id")
	sharded("orders", "user_id")
	sharded("order_items", "user_id")
	sharded("comments", "item_id")
	months(t, tables["payment_logs"])
	tables["tickets"] = tickets()
	eitherColumn(t, tables["tickets"])
	monthsAndUsers(t, tables["payments"])
	both := []topology.Shard{{Index: 0, Cluster: "c0", Database: "shop", Table: "countries"}, {Index: 1, Cluster: "c1", Database: "shop", Table: "countries"}}
	tables["countries"].Placement = &shardrule.Placement{Schema: "shop", Table: "countries", Kind: shardrule.Global, Shards: both}
	tables["catalog"].Placement = &shardrule.Placement{Schema: "shop", Table: "catalog", Kind: shardrule.Whole,
		Shards: []topology.Shard{{Cluster: "c1", Database: "shop", Table: "catalog"}}}
	c.Plain = map[string]map[string]*catalog.Table{"shop": {"settings": tables["settings"]}}
	delete(tables, "settings")
	c.Views = viewsOfSchema(t)
	tables["sbtest1"] = sbtest()
	sharded("sbtest1", "id")
	return c
}

// serverViews are the views of testdata/schema.sql as MySQL writes them down,
// shop's tables and other's views in scratch databases 0 and 1.
var serverViews = []struct{ name, columns, text string }{
	{"adults", "id name country age", "select `serval_scratch_0`.`users`.`id` AS `id`,`serval_scratch_0`.`users`.`name` AS `name`," +
		"`serval_scratch_0`.`users`.`country` AS `country`,`serval_scratch_0`.`users`.`age` AS `age` from `serval_scratch_0`.`users`" +
		" where (`serval_scratch_0`.`users`.`age` >= 18)"},
	{"spent", "user_id orders total", "select `serval_scratch_0`.`orders`.`user_id` AS `user_id`,count(0) AS `COUNT(*)`," +
		"sum(`serval_scratch_0`.`orders`.`total`) AS `SUM(total)` from `serval_scratch_0`.`orders` group by `serval_scratch_0`.`orders`.`user_id`"},
	{"regions", "region n mean", "select `serval_scratch_0`.`orders`.`region` AS `region`,count(0) AS `n`," +
		"avg(`serval_scratch_0`.`orders`.`total`) AS `mean` from `serval_scratch_0`.`orders` group by `serval_scratch_0`.`orders`.`region`"},
	{"best", "id user_id total", "select `serval_scratch_0`.`orders`.`id` AS `id`,`serval_scratch_0`.`orders`.`user_id` AS `user_id`," +
		"`serval_scratch_0`.`orders`.`total` AS `total` from `serval_scratch_0`.`orders`" +
		" order by `serval_scratch_0`.`orders`.`total` desc,`serval_scratch_0`.`orders`.`user_id`,`serval_scratch_0`.`orders`.`id` limit 5"},
	{"by_name", "name id", "select `serval_scratch_0`.`users`.`name` AS `name`,`serval_scratch_0`.`users`.`id` AS `id` from `serval_scratch_0`.`users`" +
		" order by `serval_scratch_0`.`users`.`name` desc,`serval_scratch_0`.`users`.`id`"},
	{"rich", "id name total", "select `serval_scratch_1`.`a`.`id` AS `id`,`serval_scratch_1`.`a`.`name` AS `name`,`serval_scratch_1`.`s`.`total` AS `total`" +
		" from (`serval_scratch_1`.`adults` `a` join `serval_scratch_1`.`spent` `s` on((`serval_scratch_1`.`s`.`user_id` = `serval_scratch_1`.`a`.`id`)))"},
}

func viewsOfSchema(t testing.TB) map[catalog.ViewName]*catalog.View {
	out := map[catalog.ViewName]*catalog.View{}
	for _, v := range serverViews {
		columns := strings.Fields(v.columns)
		text, err := NewViewText(v.name, v.text, []string{"shop", "other"}, columns)
		require.NoError(t, err, v.name)
		view := &catalog.View{Schema: "other", Name: v.name, Columns: columns, Definition: text.Definition, Shown: text.Shown, Literals: text.Literals,
			Definer: "`app`@`%`", Charset: "utf8mb4", Collation: "utf8mb4_general_ci", Rows: map[string][]map[string]catalog.Field{}}
		for i, c := range columns {
			row := map[string]catalog.Field{"FIELD": {Text: c}, "TYPE": {Text: "int"}, "DEFAULT": {Null: true}}
			view.Rows["SHOW"] = append(view.Rows["SHOW"], row)
			row = map[string]catalog.Field{"TABLE_NAME": {Text: "was"}, "COLUMN_NAME": {Text: c}, "ORDINAL_POSITION": {Text: strconv.Itoa(i + 1), Number: true}}
			view.Rows["COLUMNS"] = append(view.Rows["COLUMNS"], row)
		}
		out[catalog.ViewName{Schema: "other", Name: v.name}] = view
	}
	return out
}

// informationOf is a little of MySQL's information_schema.
func informationOf() *catalog.Information {
	info := &catalog.Information{Flavor: topology.FlavorMySQL, Tables: map[string]*catalog.Table{}}
	for name, columns := range map[string]string{
		"TABLES":            "TABLE_SCHEMA TABLE_NAME TABLE_TYPE TABLE_ROWS",
		"COLUMNS":           "TABLE_SCHEMA TABLE_NAME COLUMN_NAME",
		"CHECK_CONSTRAINTS": "CONSTRAINT_SCHEMA CONSTRAINT_NAME",
		"SCHEMATA":          "SCHEMA_NAME",
		"ENGINES":           "ENGINE",
		"PROCESSLIST":       "ID INFO",
		"INNODB_TABLES":     "NAME",
	} {
		t := &catalog.Table{Name: name}
		for _, column := range strings.Fields(columns) {
			c := catalog.Column{DataType: "varchar"}
			c.Name, c.SQLType, c.Collation = column, "varchar(64)", "utf8mb3_bin"
			if column == "TABLE_ROWS" {
				c.DataType, c.SQLType, c.Nullable = "bigint", "bigint unsigned", true
			}
			t.Columns = append(t.Columns, c)
		}
		info.Tables[name] = t
	}
	return info
}

// sbtest is sysbench's table: its sharding key is its auto-increment column.
func sbtest() *catalog.Table {
	id := catalog.Column{DataType: "int"}
	id.Name, id.Type, id.Bits, id.SQLType = "id", shardrule.TypeInt, 32, "int"
	k := id
	k.Name, k.Default = "k", "0"
	c := catalog.Column{DataType: "char"}
	c.Name, c.Type, c.Length, c.SQLType, c.Collation = "c", shardrule.TypeText, 120, "char(120)", "utf8mb4_general_ci"
	pad := c
	pad.Name = "pad"
	return &catalog.Table{Name: "sbtest1", Columns: []catalog.Column{id, k, c, pad}, PrimaryKey: []string{"id"}, AutoIncrement: "id"}
}

// tickets is a table whose number carries what its user is sharded by.
func tickets() *catalog.Table {
	no := catalog.Column{DataType: "bigint"}
	no.Name, no.Type, no.Bits, no.SQLType = "no", shardrule.TypeInt, 64, "bigint"
	user, note := no, catalog.Column{DataType: "varchar"}
	user.Name = "user_id"
	note.Name, note.Type, note.Length, note.SQLType, note.Nullable = "note", shardrule.TypeText, 40, "varchar(40)", true
	note.Collation, note.PadSpace = "utf8mb4_general_ci", true
	return &catalog.Table{Name: "tickets", Columns: []catalog.Column{no, user, note}, PrimaryKey: []string{"no"}}
}

// eitherColumn places a table by a rule of which one column is enough.
func eitherColumn(t testing.TB, table *catalog.Table) {
	p := composite(t, table, "mod(user_id % 64) or mod(no % 64) x 4", shardrule.Periods{})
	for i := range 4 {
		p.Shards = append(p.Shards, topology.Shard{Index: i, Cluster: "c" + strconv.Itoa(i/2), Database: fmt.Sprintf("shop_%d", i), Table: table.Name})
	}
}

// monthsAndUsers places a table by month, and each month by user.
func monthsAndUsers(t testing.TB, table *catalog.Table) {
	calendar, periods := periodsOfTest(t)
	p := composite(t, table, "month(paid_at), hash(user_id) x 4", shardrule.Periods{Table: table.Name, List: periods})
	for _, period := range periods {
		for i := range 4 {
			p.Shards = append(p.Shards, topology.Shard{Index: len(p.Shards), Cluster: "c" + strconv.Itoa(i/2),
				Database: "shop_" + strconv.Itoa(i), Table: table.Name + "_" + calendar.Name(period)})
		}
	}
}

// composite gives a table a rule of several columns, without its shards.
func composite(t testing.TB, table *catalog.Table, rule string, over shardrule.Periods) *shardrule.Placement {
	r, err := shardrule.ParseRule(rule, func(string, []string) string { return "" })
	require.NoError(t, err)
	parts, err := r.Parts(over)
	require.NoError(t, err)
	for i := range parts {
		parts[i].Column = keyColumn(t, table, parts[i].Column.Name)
		if b, ok := parts[i].Algorithm.(shardrule.Binder); ok {
			parts[i].Algorithm, err = b.Bind(parts[i].Column, nil)
			require.NoError(t, err)
		}
	}
	table.Placement = &shardrule.Placement{Schema: "shop", Table: table.Name, Kind: shardrule.Sharded, Algorithm: shardrule.NewComposite(parts), Parts: parts}
	return table.Placement
}

func periodsOfTest(t testing.TB) (shardrule.Calendar, []shardrule.Period) {
	calendar := shardrule.Calendar{Unit: shardrule.Month}
	var periods []shardrule.Period
	for _, name := range []string{"202609", "202610", "202611", "202612"} {
		period, ok := calendar.Named(name)
		require.True(t, ok)
		periods = append(periods, period)
	}
	return calendar, periods
}

func months(t testing.TB, table *catalog.Table) {
	calendar, periods := periodsOfTest(t)
	month, err := shardrule.NewTime("month", calendar, nil, shardrule.Periods{Table: table.Name, List: periods})
	require.NoError(t, err)
	p := &shardrule.Placement{Schema: "shop", Table: table.Name, Kind: shardrule.Sharded, Algorithm: month, Column: keyColumn(t, table, "paid_at")}
	for i, period := range periods {
		p.Shards = append(p.Shards, topology.Shard{Index: i, Cluster: "c" + strconv.Itoa(i%2), Database: "shop", Table: "payment_logs_" + calendar.Name(period)})
	}
	table.Placement = p
}

func keyColumn(t testing.TB, table *catalog.Table, name string) shardrule.Column {
	for _, c := range table.Columns {
		if c.Name == name {
			return c.Column
		}
	}
	t.Fatalf("no column %s", name)
	return shardrule.Column{}
}

var (
	tableStart = regexp.MustCompile(`(?s)CREATE TABLE (\w+) \((.*?)\n\);`)
	keyLine    = regexp.MustCompile(`(?m)^  (?:(\w+) .*PRIMARY KEY|PRIMARY KEY \(([^)]*)\))`)
	columnLine = regexp.MustCompile(`^  (\w+) ((\w+)(?:\(([^)]*)\))?)(.*?),?$`)
)

// tablesOfSchema reads testdata/schema.sql, which keeps to one column a line.
func tablesOfSchema(t testing.TB) map[string]*catalog.Table {
	text, err := os.ReadFile("testdata/schema.sql")
	require.NoError(t, err)
	out := map[string]*catalog.Table{}
	for _, m := range tableStart.FindAllStringSubmatch(string(text), -1) {
		table := &catalog.Table{Name: m[1]}
		for _, line := range strings.Split(m[2], "\n") {
			c := columnLine.FindStringSubmatch(line)
			if c == nil || c[1] == "PRIMARY" || c[1] == "KEY" {
				continue
			}
			table.Columns = append(table.Columns, columnOf(c))
			if strings.Contains(c[5], "AUTO_INCREMENT") {
				table.AutoIncrement = c[1]
			}
		}
		if k := keyLine.FindStringSubmatch(m[2]); k != nil {
			table.PrimaryKey = strings.Split(k[1]+k[2], ", ")
		}
		out[m[1]] = table
	}
	require.Len(t, out, 9)
	return out
}

func columnOf(c []string) catalog.Column {
	col := catalog.Column{DataType: strings.ToLower(c[3])}
	col.Name, col.SQLType = c[1], strings.ToLower(c[2])
	col.Nullable = !strings.Contains(c[5], "NOT NULL")
	if _, d, ok := strings.Cut(c[5], "DEFAULT "); ok {
		col.Default = d
	}
	switch col.DataType {
	case "bigint":
		col.Type, col.Bits = shardrule.TypeInt, 64
	case "int":
		col.Type, col.Bits = shardrule.TypeInt, 32
	case "decimal":
		col.Type, col.Scale = shardrule.TypeDecimal, 2
	case "datetime":
		col.Type = shardrule.TypeDatetime
	case "date":
		col.Type = shardrule.TypeDate
	case "enum":
		col.Collation = "utf8mb4_general_ci"
	case "char", "varchar", "text":
		col.Type, col.Collation, col.PadSpace = shardrule.TypeText, "utf8mb4_general_ci", true
	}
	return col
}

// textArgs are the literals of a text.
type textArgs struct {
	sql      []byte
	mode     parser.Mode
	literals []parser.Literal
}

func (a *textArgs) Len() int { return len(a.literals) }

func (a *textArgs) Value(i int) sqlval.Value { return a.literals[i].Value(a.sql, a.mode) }

func (a *textArgs) AppendSQL(dst []byte, i int) ([]byte, bool) {
	l := a.literals[i]
	if l.Marker {
		return append(dst, '?'), true
	}
	return append(dst, a.sql[l.Start:l.End]...), false
}

func argsOf(t testing.TB, sql string) *textArgs {
	t.Helper()
	var lx parser.Lexer
	var fp parser.Fingerprint
	require.NoError(t, lx.Fingerprint([]byte(sql), 0, &fp))
	return &textArgs{sql: []byte(sql), literals: append([]parser.Literal(nil), fp.Literals...)}
}

// planText plans and binds a text.
func planText(t testing.TB, cat *catalog.Catalog, db, sql string) (*plan.Plan, *plan.Bound, error) {
	t.Helper()
	return planTextFor(t, cat, db, nil, sql)
}

// planTextFor is planText for a user who may only see these databases.
func planTextFor(t testing.TB, cat *catalog.Catalog, db string, visible []string, sql string) (*plan.Plan, *plan.Bound, error) {
	t.Helper()
	st := parser.Parse([]byte(sql), parser.Options{})
	p, err := PlanFor(cat, db, visible, st)
	if err != nil {
		return nil, nil, err
	}
	var opt plan.Options
	for range 3 {
		b, err := p.Bind(argsOf(t, sql), opt)
		switch need := err.(type) { //nolint:errorlint // Bind returns them bare
		case nil:
			return p, b, nil
		case *plan.ErrNeedNumbers:
			opt.FirstNumber = 1000
		case *plan.ErrNeedExprs:
			opt.Exprs = append(opt.Exprs, sqlval.StringValue("2026-11-23 10:00:00"))
			require.Contains(t, string(need.SQL), "SELECT ")
		default:
			return p, nil, err
		}
	}
	t.Fatal("Bind asks again and again")
	return nil, nil, nil
}

// markers are a prepared statement's values.
type markers struct {
	textArgs
	values *textArgs
}

func (m *markers) Value(i int) sqlval.Value { return m.values.Value(i) }
func (m *markers) AllMarkers() bool         { return true }
