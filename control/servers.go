package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Servers is how control asks the primaries. Safe for concurrent use.
type Servers interface {
	// Select runs one query on the cluster's primary and keeps its rows; a
	// NULL is nil.
	Select(ctx context.Context, cluster, sql string) ([][][]byte, error)
	// Each runs one query there and gives its rows one by one, until an error.
	Each(ctx context.Context, cluster, sql string, row func([][]byte) error) error
	// Exec runs one statement on the cluster's primary.
	Exec(ctx context.Context, cluster, sql string) error
}

// server is what a cluster's primary says about itself.
type server struct {
	flavor topology.Flavor
	fold   bool
	// zone is the time_zone of a session that sets none: an offset or a name,
	// empty where it is a system's other than UTC.
	zone string
}

func readServer(ctx context.Context, s Servers, cluster string) (server, error) {
	rows, err := s.Select(ctx, cluster, "SELECT VERSION(), @@lower_case_table_names, @@GLOBAL.time_zone, @@system_time_zone")
	if err != nil {
		return server{}, err
	}
	if len(rows) != 1 || len(rows[0]) != 4 {
		return server{}, fmt.Errorf("cluster %s: unexpected answer to VERSION()", cluster)
	}
	v := server{flavor: topology.FlavorMySQL, fold: string(rows[0][1]) != "0"}
	if strings.Contains(string(rows[0][0]), "MariaDB") {
		v.flavor = topology.FlavorMariaDB
	}
	system := string(rows[0][3])
	if v.zone = string(rows[0][2]); v.zone == "SYSTEM" {
		v.zone = ""
		if system == "UTC" || system == "GMT" || system == "Universal" {
			v.zone = "+00:00"
		}
	}
	return v, nil
}

// quote is text as an SQL string that any sql_mode reads alike.
func quote(text string) string {
	return string(sqlval.StringValue(text).AppendSQL(nil, !strings.Contains(text, `\`)))
}

// place is a physical table.
type place struct{ cluster, database, table string }

// readTables reads the definitions of the tables of one database, or of one
// table of it; keys are as the server spells the names.
func readTables(ctx context.Context, s Servers, at place, flavor topology.Flavor) (map[string]*TableFact, error) {
	where := "TABLE_SCHEMA = " + quote(at.database)
	if at.table != "" {
		where += " AND TABLE_NAME = " + quote(at.table)
	}
	all, err := readDefinitions(ctx, s, at.cluster, where, math.MaxInt32, flavor)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*TableFact, len(all))
	for name, t := range all {
		out[name.Table] = t
	}
	return out, nil
}

// readDefinitions reads the definitions of tables and views; errTooManyTables
// where they have as many columns, or columns in keys, as most.
func readDefinitions(ctx context.Context, s Servers, cluster, where string, most int, flavor topology.Flavor) (map[TableName]*TableFact, error) {
	atMost := " LIMIT " + strconv.Itoa(most)
	rows, err := s.Select(ctx, cluster, "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_MAXIMUM_LENGTH,"+
		" NUMERIC_SCALE, NUMERIC_PRECISION, DATETIME_PRECISION, COLLATION_NAME, IS_NULLABLE, COLUMN_DEFAULT, EXTRA,"+
		" GENERATION_EXPRESSION FROM information_schema.COLUMNS WHERE "+where+" ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"+atMost)
	if err != nil {
		return nil, err
	}
	out := map[TableName]*TableFact{}
	for _, r := range rows {
		name := TableName{string(r[0]), string(r[1])}
		t := out[name]
		if t == nil {
			t = &TableFact{}
			out[name] = t
		}
		col := columnOf(r[2:], flavor)
		if col.AutoIncrement {
			t.AutoIncrement = col.Name
		}
		t.Columns = append(t.Columns, col)
	}
	if len(out) == 0 {
		return out, nil
	}
	keys, err := s.Select(ctx, cluster, "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME, NON_UNIQUE, SUB_PART, INDEX_TYPE"+
		" FROM information_schema.STATISTICS WHERE "+where+" ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"+atMost)
	if err != nil {
		return nil, err
	}
	if len(rows) >= most || len(keys) >= most {
		return nil, errTooManyTables
	}
	addKeys(out, keys)
	if flavor == topology.FlavorMariaDB {
		err = markJSON(ctx, s, cluster, where, out)
	}
	return out, err
}

// markJSON finds the columns that MariaDB's JSON type, a longtext with a check,
// has made. Servers before 10.5 do not tell.
func markJSON(ctx context.Context, s Servers, cluster, where string, tables map[TableName]*TableFact) error {
	some := false
	for _, t := range tables {
		some = some || slices.ContainsFunc(t.Columns, func(c catalog.Column) bool { return c.DataType == "longtext" })
	}
	if !some {
		return nil
	}
	rows, err := s.Select(ctx, cluster, "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS"+
		" WHERE LEVEL = 'Column' AND "+strings.ReplaceAll(where, "TABLE_SCHEMA", "CONSTRAINT_SCHEMA"))
	var old *sqlerr.Error
	if errors.As(err, &old) && (old.Code == sqlerr.BadField || old.Code == unknownTable) {
		return nil
	}
	for _, r := range rows {
		t := tables[TableName{string(r[0]), string(r[1])}]
		for i := 0; t != nil && i < len(t.Columns); i++ {
			c := &t.Columns[i]
			c.JSON = c.JSON || c.Name == string(r[2]) && string(r[3]) == "json_valid("+sqlval.QuoteName(c.Name)+")"
		}
	}
	return err
}

// unknownTable is ER_UNKNOWN_TABLE, also of information_schema.
const unknownTable = 1109

var errTooManyTables = errors.New("the tables have too many columns together")

// columnOf reads COLUMN_NAME and what follows.
func columnOf(r [][]byte, flavor topology.Flavor) catalog.Column {
	extra := string(r[10])
	c := catalog.Column{
		Column: shardrule.ColumnFrom(shardrule.ColumnInfo{
			Name: string(r[0]), DataType: string(r[1]), ColumnType: string(r[2]), CharLength: string(r[3]),
			NumericScale: string(r[4]), NumericPrecision: string(r[5]), DatetimePrecision: string(r[6]),
			Collation: string(r[7]), Nullable: string(r[8]),
		}),
		DataType:      strings.ToLower(string(r[1])),
		Generated:     len(r[11]) > 0,
		AutoIncrement: strings.Contains(extra, "auto_increment"),
		Invisible:     strings.Contains(extra, "INVISIBLE"),
		OnUpdate:      strings.Contains(strings.ToLower(extra), "on update"),
	}
	switch {
	case c.Generated:
	case r[9] == nil && c.Nullable:
		c.Default = "NULL"
	case r[9] == nil:
	case flavor == topology.FlavorMariaDB || strings.Contains(extra, "DEFAULT_GENERATED") || c.DataType == "bit":
		c.Default = string(r[9]) // an expression already
	default:
		c.Default = quote(string(r[9]))
	}
	return c
}

// addKeys puts keys to their tables; a key with an expression in it is left
// out, for it has no name to go by.
func addKeys(tables map[TableName]*TableFact, rows [][][]byte) {
	same := func(a, b [][]byte) bool {
		return bytes.Equal(a[0], b[0]) && bytes.Equal(a[1], b[1]) && bytes.Equal(a[2], b[2])
	}
	for i := 0; i < len(rows); {
		j := i
		var columns []string
		var index catalog.Index
		whole := true
		for ; j < len(rows) && same(rows[j], rows[i]); j++ {
			prefix, _ := strconv.Atoi(string(rows[j][5])) // NULL: all of it
			whole = whole && rows[j][3] != nil
			columns = append(columns, string(rows[j][3]))
			index = append(index, catalog.IndexColumn{Name: string(rows[j][3]), Prefix: prefix})
		}
		t := tables[TableName{string(rows[i][0]), string(rows[i][1])}]
		unique := string(rows[i][4]) == "0"
		switch {
		case t == nil || !whole:
		case string(rows[i][2]) == "PRIMARY":
			t.PrimaryKey = columns
			t.PrimaryPrefix = slices.ContainsFunc(index, func(c catalog.IndexColumn) bool { return c.Prefix != 0 })
		default:
			if unique {
				t.UniqueKeys = append(t.UniqueKeys, columns)
				t.UniqueNames = append(t.UniqueNames, string(rows[i][2]))
			}
			if string(rows[i][6]) == "BTREE" {
				t.Indexes = append(t.Indexes, index)
			}
		}
		i = j
	}
}

// readPlaces are the physical tables on the cluster whose name or database
// begins as the logical table's shards do.
func readPlaces(ctx context.Context, s Servers, cluster, where string) ([]place, error) {
	rows, err := s.Select(ctx, cluster, "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE "+where)
	if err != nil {
		return nil, err
	}
	out := make([]place, len(rows))
	for i, r := range rows {
		out[i] = place{cluster, string(r[0]), string(r[1])}
	}
	return out, nil
}

// readInformation are the tables of information_schema.
func readInformation(ctx context.Context, s Servers, cluster string, flavor topology.Flavor) (*catalog.Information, error) {
	rows, err := s.Select(ctx, cluster, "SELECT UPPER(TABLE_NAME), UPPER(COLUMN_NAME), DATA_TYPE, COLUMN_TYPE, COLLATION_NAME, IS_NULLABLE"+
		" FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema' ORDER BY TABLE_NAME, ORDINAL_POSITION")
	if err != nil {
		return nil, err
	}
	all := &catalog.Information{Flavor: flavor, Tables: map[string]*catalog.Table{}}
	for _, r := range rows {
		name := string(r[0])
		if all.Tables[name] == nil {
			all.Tables[name] = &catalog.Table{Name: name}
		}
		c := catalog.Column{DataType: strings.ToLower(string(r[2]))}
		c.Name, c.SQLType, c.Collation, c.Nullable = string(r[1]), string(r[3]), string(r[4]), string(r[5]) == "YES"
		all.Tables[name].Columns = append(all.Tables[name].Columns, c)
	}
	return all, nil
}

// readCollations are all collations of a server, with the weight of a space
// for those that pad.
func readCollations(ctx context.Context, s Servers, cluster string, flavor topology.Flavor) (map[string]catalog.Collation, error) {
	sql := "SELECT COLLATION_NAME, CHARACTER_SET_NAME, ID, IS_DEFAULT, PAD_ATTRIBUTE FROM information_schema.COLLATIONS"
	if flavor == topology.FlavorMariaDB {
		sql = "SELECT FULL_COLLATION_NAME, CHARACTER_SET_NAME, ID, IS_DEFAULT, NULL FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
	}
	rows, err := s.Select(ctx, cluster, sql)
	if err != nil && flavor == topology.FlavorMariaDB { // before 10.10 it has no full names
		rows, err = s.Select(ctx, cluster, "SELECT COLLATION_NAME, CHARACTER_SET_NAME, ID, IS_DEFAULT, NULL FROM information_schema.COLLATIONS")
	}
	if err != nil {
		return nil, err
	}
	out := make(map[string]catalog.Collation, len(rows))
	var padding []string
	for _, r := range rows {
		id, _ := strconv.ParseUint(string(r[2]), 10, 16) // NULL: it has none of its own
		c := catalog.Collation{Name: string(r[0]), Charset: string(r[1]), ID: uint16(id), Default: string(r[3]) == "Yes"}
		c.PadSpace = string(r[4]) == "PAD SPACE"
		if flavor == topology.FlavorMariaDB {
			c.PadSpace = c.Charset != "binary" && !strings.Contains(c.Name, "_nopad_")
		}
		if c.PadSpace {
			padding = append(padding, c.Name)
		}
		out[c.Name] = c
	}
	slices.Sort(padding)
	return out, readPadWeights(ctx, s, cluster, out, padding)
}

// weightsAtOnce is how many weights one query asks for.
const weightsAtOnce = 100

func readPadWeights(ctx context.Context, s Servers, cluster string, all map[string]catalog.Collation, names []string) error {
	for chunk := range slices.Chunk(names, weightsAtOnce) {
		exprs := make([]string, len(chunk))
		for i, n := range chunk {
			exprs[i] = shardrule.WeightExpr(n, []byte(" "))
		}
		rows, err := s.Select(ctx, cluster, "SELECT "+strings.Join(exprs, ", "))
		if err != nil {
			return err
		}
		if len(rows) != 1 || len(rows[0]) != len(chunk) {
			return fmt.Errorf("cluster %s: unexpected answer to WEIGHT_STRING", cluster)
		}
		for i, n := range chunk {
			c := all[n]
			c.PadWeight = slices.Clone(rows[0][i])
			all[n] = c
		}
	}
	return nil
}
