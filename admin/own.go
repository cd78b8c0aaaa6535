package admin

import (
	"cmp"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/servaldb/serval/reshard"
	"github.com/servaldb/serval/shardrule"
)

// OwnTables are the read-only tables of schema serval, for DBAs: what this
// Serval knows at the moment of the statement. A statement over them is run by
// a real server, which gets the rows within it; so anything SQL can do may be
// asked of them.
type OwnTables struct {
	Sources Sources
	Digests *Digests
	// Transactions are the open ones over clusters, and branches that wait for
	// their end.
	Transactions func() []TransactionStat
	// Reshards are the jobs that move tables, from the journals on the clusters.
	Reshards func() []reshard.Job
}

// TransactionStat is one row of serval.transactions.
type TransactionStat struct {
	// Session is 0 for a prepared branch that no session of this Serval owns.
	Session  uint32
	State    string // open, prepared
	Clusters string
	// GTRID names a prepared branch's transaction.
	GTRID   string
	Seconds float64
	Trouble string
}

// ownColumn is a column: text of up to that many characters, or a number.
type ownColumn struct {
	name  string
	chars int // 0: a number with decimals digits behind the point
	point int
}

// shownDigests and shownText bound serval.digests, which must fit into a
// statement.
const (
	shownDigests = 300
	shownText    = 1024
)

func text(name string, chars int) ownColumn { return ownColumn{name: name, chars: chars} }
func number(name string) ownColumn          { return ownColumn{name: name} }
func seconds(name string) ownColumn         { return ownColumn{name: name, point: 6} }

// ownTable is a table: its columns, and its rows at this moment.
type ownTable struct {
	columns []ownColumn
	rows    func(*OwnTables) [][]any
}

// own are the tables by name.
func own() map[string]ownTable {
	return map[string]ownTable{
		"shards": {[]ownColumn{text("table_schema", 64), text("table_name", 64), number("shard"), text("cluster", 64), text("physical_schema", 64),
			text("physical_table", 64)}, (*OwnTables).shards},
		"rules": {[]ownColumn{text("table_schema", 64), text("table_name", 64), text("rule", 255), number("shards"), number("version")}, (*OwnTables).rules},
		"instances": {[]ownColumn{text("cluster", 64), text("addr", 255), text("role", 16), number("up"), seconds("seconds_behind_source"), number("weight"),
			text("zone", 64), text("version", 64), text("gtid_executed", 1024), number("connections_busy"), number("connections_idle"), text("why", 255)}, (*OwnTables).instances},
		"slots":    {[]ownColumn{text("table_schema", 64), text("table_name", 64), number("slot"), number("shard"), number("count_keys")}, (*OwnTables).slots},
		"sessions": {[]ownColumn{number("id"), text("user", 64), text("host", 255), text("db", 64), text("command", 16), seconds("time"), text("state", 255)}, (*OwnTables).sessions},
		"pins":     {[]ownColumn{number("id"), text("user", 64), text("pinned", 1024)}, (*OwnTables).pins},
		"transactions": {[]ownColumn{number("session"), text("state", 16), text("clusters", 255), text("gtrid", 64), seconds("time"), text("trouble", 255)},
			(*OwnTables).transactions},
		"reshards": {[]ownColumn{number("id"), text("stage", 16), text("table_names", shownText), number("rows_copied"), number("rows_total"), seconds("seconds_behind"),
			number("keys_waiting"), text("worker", 255), seconds("seconds_idle"), text("detail", 1024), text("trouble", 1024), text("verified", 1024), text("created_at", 26)}, (*OwnTables).reshards},
		"digests": {[]ownColumn{text("schema_name", 64), text("digest_text", shownText), number("count_star"), number("sum_errors"), seconds("sum_timer_wait"),
			seconds("avg_timer_wait"), seconds("max_timer_wait"), number("sum_rows_sent"), number("sum_tasks"), text("first_seen", 26), text("last_seen", 26)}, (*OwnTables).digests},
	}
}

// Names are the tables there are.
func (o *OwnTables) Names() []string { return slices.Sorted(maps.Keys(own())) }

// Types are the types of a table's columns, as SHOW COLUMNS names them.
func (o *OwnTables) Types(name string) []string {
	var types []string
	for _, c := range own()[strings.ToLower(name)].columns {
		switch {
		case c.chars > 0:
			types = append(types, "varchar("+strconv.Itoa(c.chars)+")")
		case c.point > 0:
			types = append(types, "decimal(30,"+strconv.Itoa(c.point)+")")
		default:
			types = append(types, "bigint")
		}
	}
	return types
}

// Query is a SELECT that gives the rows of a table as they are now; ok is false
// where there is no such table. It reads alike in every sql_mode.
func (o *OwnTables) Query(name string) (sql string, columns []string, ok bool) {
	t, ok := own()[strings.ToLower(name)]
	if !ok {
		return "", nil, false
	}
	rows := t.rows(o)
	var b strings.Builder
	for _, c := range t.columns {
		columns = append(columns, c.name)
	}
	b.WriteString("SELECT ")
	empty := make([]any, len(t.columns))
	t.row(&b, empty)
	b.WriteString(" FROM DUAL WHERE FALSE")
	for _, row := range rows {
		b.WriteString(" UNION ALL SELECT ")
		t.row(&b, row)
	}
	return b.String(), columns, true
}

// row writes a row's values as the columns' types.
func (t ownTable) row(b *strings.Builder, row []any) {
	for i, c := range t.columns {
		if i > 0 {
			b.WriteString(", ")
		}
		switch v := literal(row[i]); {
		case c.chars > 0:
			b.WriteString("CAST(" + v + " AS CHAR(" + strconv.Itoa(c.chars) + ") CHARACTER SET utf8mb4)")
		case c.point > 0:
			b.WriteString("CAST(" + v + " AS DECIMAL(30," + strconv.Itoa(c.point) + "))")
		default:
			b.WriteString("CAST(" + v + " AS SIGNED)")
		}
		b.WriteString(" AS `" + c.name + "`")
	}
}

// literal is a value as SQL; text goes as hexadecimal, which no mode reads
// differently.
func literal(v any) string {
	switch v := v.(type) {
	case string:
		return "_utf8mb4 X'" + hex.EncodeToString([]byte(strings.ToValidUTF8(v, "?"))) + "'"
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint32:
		return strconv.FormatUint(uint64(v), 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', 6, 64)
	case bool:
		if v {
			return "1"
		}
		return "0"
	case time.Time:
		return literal(v.UTC().Format("2006-01-02 15:04:05.000000"))
	}
	return "NULL"
}

func (o *OwnTables) shards() (rows [][]any) {
	for _, t := range tables(o.Sources.Catalog()) {
		for _, s := range t.Shards {
			rows = append(rows, []any{t.Schema, t.Table, s.Shard, s.Cluster, s.Database, s.Table})
		}
	}
	return rows
}

func (o *OwnTables) slots() (rows [][]any) {
	c := o.Sources.Catalog()
	for _, s := range slots(c) {
		if h, ok := shardrule.HashOf(c.Table(s.Schema, s.Table).Placement.Algorithm); ok {
			rows = append(rows, []any{s.Schema, s.Table, s.Slot, h.ShardOfSlot(s.Slot), s.Keys})
		}
	}
	return rows
}

func (o *OwnTables) rules() (rows [][]any) {
	c := o.Sources.Catalog()
	for _, t := range tables(c) {
		rows = append(rows, []any{t.Schema, t.Table, t.Rule, len(t.Shards), c.Version})
	}
	return rows
}

func (o *OwnTables) instances() (rows [][]any) {
	pools := map[string]PoolStat{}
	for _, p := range o.Sources.Pools() {
		pools[p.Addr] = p
	}
	view := o.Sources.View()
	for _, name := range slices.Sorted(maps.Keys(view.Clusters)) {
		for _, in := range view.Clusters[name].Instances {
			var lag any
			if in.LagKnown {
				lag = in.Lag.Seconds()
			}
			p := pools[in.Addr]
			rows = append(rows, []any{name, in.Addr, in.Role.String(), in.Up, lag, in.Weight, in.Zone, in.Version, in.Executed, p.Busy, p.Idle, in.Why})
		}
	}
	return rows
}

func (o *OwnTables) sessions() (rows [][]any) {
	for _, s := range o.Sources.Sessions() {
		rows = append(rows, []any{s.ID, s.User, s.Host, s.DB, s.Command, s.Seconds, s.State})
	}
	return rows
}

func (o *OwnTables) pins() (rows [][]any) {
	for _, s := range o.Sources.Sessions() {
		if s.Pinned != "" {
			rows = append(rows, []any{s.ID, s.User, s.Pinned})
		}
	}
	return rows
}

func (o *OwnTables) transactions() (rows [][]any) {
	list := o.Transactions()
	slices.SortFunc(list, func(a, b TransactionStat) int {
		return cmp.Or(cmp.Compare(a.Session, b.Session), cmp.Compare(a.GTRID, b.GTRID))
	})
	for _, t := range list {
		var session any
		if t.Session != 0 {
			session = t.Session
		}
		rows = append(rows, []any{session, t.State, t.Clusters, t.GTRID, t.Seconds, t.Trouble})
	}
	return rows
}

func (o *OwnTables) digests() (rows [][]any) {
	for _, d := range o.Digests.Top(shownDigests) {
		average := 0.0
		if d.Count > 0 {
			average = d.Total.Seconds() / float64(d.Count)
		}
		rows = append(rows, []any{d.Schema, d.Text[:min(len(d.Text), shownText)], d.Count, d.Errors, d.Total.Seconds(), average, d.Max.Seconds(), d.Rows, d.Tasks,
			d.FirstSeen, d.LastSeen})
	}
	return rows
}
