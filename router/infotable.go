package router

import (
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/topology"
)

// infoTable is a table of information_schema: what its rows are about.
type infoTable struct {
	name   string
	flavor topology.Flavor
	entry  *catalog.Table
	// schema and table are the columns with the database and the table a row is
	// about. table is empty where rows are about databases or what is in them
	// besides tables, both are where they are about the server.
	schema, table string
}

// subjects are the columns that may say what a row is about, the first pair
// that a table has.
var subjects = [][2]string{
	{"TABLE_SCHEMA", "TABLE_NAME"}, {"CONSTRAINT_SCHEMA", "TABLE_NAME"}, {"SCHEMA_NAME", "TABLE_NAME"},
	{"EVENT_OBJECT_SCHEMA", "EVENT_OBJECT_TABLE"}, {"F_TABLE_SCHEMA", "F_TABLE_NAME"}, {"VIEW_SCHEMA", "VIEW_NAME"},
	{"TABLE_SCHEMA", ""}, {"CONSTRAINT_SCHEMA", ""}, {"SCHEMA_NAME", ""}, {"ROUTINE_SCHEMA", ""}, {"SPECIFIC_SCHEMA", ""},
	{"EVENT_SCHEMA", ""}, {"SEQUENCE_SCHEMA", ""}, {"LIBRARY_SCHEMA", ""}, {"SCHEMA", ""},
}

// information finds a table of information_schema, nil for others.
func (p *planning) informationTable(schema, table string) *infoTable {
	if !isInformation(schema) || p.cat.Information == nil {
		return nil
	}
	name := strings.ToUpper(table)
	entry := p.cat.Information.Tables[name]
	if entry == nil {
		return nil
	}
	t := &infoTable{name: name, flavor: p.cat.Information.Flavor, entry: entry}
	for _, s := range subjects {
		if hasField(entry, s[0]) && (s[1] == "" || hasField(entry, s[1])) && name != "FILES" {
			t.schema, t.table = s[0], s[1]
			break
		}
	}
	return t
}

func isInformation(schema string) bool { return strings.EqualFold(schema, "information_schema") }

func hasField(t *catalog.Table, name string) bool {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return true
		}
	}
	return false
}

// physical: its rows tell of files, pages, connections and accounts of one
// server, by the names they have there.
func (t *infoTable) physical() bool {
	switch t.name {
	case "PROCESSLIST", "TABLESPACES_EXTENSIONS", "METADATA_LOCK_INFO", "OPTIMIZER_TRACE", "USER_VARIABLES", "PROFILING", "USER_PRIVILEGES", "USER_ATTRIBUTES":
		return true
	case "FILES":
		return t.flavor != topology.FlavorMariaDB // which has nothing in it
	}
	return strings.HasPrefix(t.name, "INNODB_")
}

// of is the condition for the rows about the tellers, empty for none. Where rows
// only say their database, MySQL's CHECK_CONSTRAINTS are told by their names;
// databases of shards hold nothing else.
func (t *infoTable) of(tellers []teller) string {
	list := pairs(shardsOf(tellers))
	switch {
	case list == "":
		return ""
	case t.table != "":
		return "(" + t.schema + ", " + t.table + ") IN (" + list + ")"
	case t.name == "CHECK_CONSTRAINTS":
		return "(CONSTRAINT_SCHEMA, CONSTRAINT_NAME) IN (" + checksOf(list) + ")"
	}
	return ""
}

func checksOf(tables string) string {
	return "SELECT CONSTRAINT_SCHEMA, CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS" +
		" WHERE CONSTRAINT_TYPE = 'CHECK' AND (TABLE_SCHEMA, TABLE_NAME) IN (" + tables + ")"
}

// How a column that differs by shard is put together: an expression over the
// rows of all shards (l); ? is the column, # what rows are about the same.
const (
	unsigned = "CAST(SUM(l.?) OVER (#) AS UNSIGNED)"
	smallest = "MIN(l.?) OVER (#)"
	largest  = "MAX(l.?) OVER (#)"
	average  = "CASE WHEN l.AVG_ROW_LENGTH IS NOT NULL THEN CAST(IFNULL(SUM(l.DATA_LENGTH) OVER (#) DIV NULLIF(SUM(l.TABLE_ROWS) OVER (#), 0), 0) AS UNSIGNED) END"
)

// sums by table and column. AVG_ROW_LENGTH is made of two others.
var sums = map[string]map[string]string{
	"TABLES": {
		"TABLE_ROWS": unsigned, "DATA_LENGTH": unsigned, "INDEX_LENGTH": unsigned, "DATA_FREE": unsigned, "AVG_ROW_LENGTH": average,
		"AUTO_INCREMENT": largest, "CREATE_TIME": smallest, "UPDATE_TIME": largest, "CHECK_TIME": largest,
	},
	"PARTITIONS": {
		"TABLE_ROWS": unsigned, "DATA_LENGTH": unsigned, "INDEX_LENGTH": unsigned, "DATA_FREE": unsigned, "AVG_ROW_LENGTH": average,
		"CREATE_TIME": smallest, "UPDATE_TIME": largest, "CHECK_TIME": largest,
	},
	"STATISTICS": {"CARDINALITY": "CAST(SUM(l.?) OVER (#) AS SIGNED)"},
}

// sameRow are the columns that, beside the table, tell the rows of two shards
// are about the same.
var sameRow = map[string][]string{
	"TABLES":     nil,
	"PARTITIONS": {"PARTITION_NAME", "SUBPARTITION_NAME"},
	"STATISTICS": {"INDEX_NAME", "SEQ_IN_INDEX"},
}

// summed: one of the columns differs by shard.
func (t *infoTable) summed(columns []*catalog.Column) bool {
	for _, c := range columns {
		if sums[t.name][c.Name] != "" {
			return true
		}
	}
	return false
}

// withSums adds the columns that sums are made of.
func (t *infoTable) withSums(columns []*catalog.Column) []*catalog.Column {
	want := append([]string{t.schema, t.table}, sameRow[t.name]...)
	for _, c := range columns {
		if sums[t.name][c.Name] == average {
			want = append(want, "TABLE_ROWS", "DATA_LENGTH")
		}
		want = append(want, c.Name)
	}
	var out []*catalog.Column
	for i := range t.entry.Columns {
		if c := &t.entry.Columns[i]; containsName(want, c.Name) {
			out = append(out, c)
		}
	}
	return out
}

// total is the derived table that adds the rows of from up. It is read as
// information_schema itself is: see view.
func (t *infoTable) total(from string, columns []*catalog.Column) string {
	same := "PARTITION BY l." + t.schema + ", l." + t.table
	for _, c := range sameRow[t.name] {
		same += ", l." + c
	}
	var list []string
	for _, c := range columns {
		expr := "l." + sqlval.QuoteName(c.Name)
		if s := sums[t.name][c.Name]; s != "" {
			s = strings.ReplaceAll(strings.ReplaceAll(s, "#", same), "?", sqlval.QuoteName(c.Name))
			if expr = s; !c.Nullable {
				expr = "IFNULL(" + s + ", l." + sqlval.QuoteName(c.Name) + ")"
			}
		}
		list = append(list, expr+" AS "+sqlval.QuoteName(c.Name))
	}
	return "(SELECT " + strings.Join(list, ", ") + ", l." + speaksColumn + " FROM " + from + " AS l) AS s WHERE s." + speaksColumn
}

// view is the derived table, without its name, that stands for the table where
// its rows come from from. MySQL names columns as the table has them, MariaDB as
// the query writes them: the one by merging the derived table, the other by not.
// The columns' types are those information_schema says its own have; what MySQL
// sends for an expression of its view may be narrower or wider.
func (t *infoTable) view(from string, columns []*catalog.Column) string {
	var list []string
	for _, c := range columns {
		list = append(list, t.known(c)+" AS "+sqlval.QuoteName(c.Name))
	}
	sql := "(SELECT " + strings.Join(list, ", ") + " FROM " + from
	if t.flavor == topology.FlavorMariaDB {
		sql += allRows
	}
	return sql + ")"
}

// known is the expression for a column: NULL for what MySQL has no value for,
// and NOT NULL where MariaDB does not know that any more behind a window function.
func (t *infoTable) known(c *catalog.Column) string {
	switch {
	case t.flavor != topology.FlavorMariaDB && c.SQLType == "varbinary(0)":
		return "NULL"
	case t.flavor != topology.FlavorMariaDB || c.Nullable || c.Collation == "" || strings.HasPrefix(c.SQLType, "varchar(2048)"): // IFNULL would be a TEXT
		return sqlval.QuoteName(c.Name)
	}
	return "IFNULL(" + sqlval.QuoteName(c.Name) + ", '')"
}
