package router

import (
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
)

// A table without a usable key: its rows are told apart by all of their values.
// Rows that are alike in all of them are as good as one another, so it is
// enough to know how many of them are meant.

// tellRow makes the write find the rows of t, which no key tells apart, by a
// checksum over their columns, and of the sharding key, which finds the shard.
// list is what is read for it; nil where a column cannot be compared so.
func (s *staging) tellRow(t *ref, w *plan.StagedWrite) (list plan.Template) {
	if !t.columnsKnown() || len(s.uniques(t)) > 0 || ofFamily(t) {
		return nil
	}
	w.Limited, w.Joined = !s.spans.Limit.Empty(), len(s.block0().refs) > 1 || len(s.block0().derived) > 0
	w.Keys = nil
	if t.sharded() && !slices.ContainsFunc(t.placement().Keys(), func(k string) bool { return !comparesAsText(t.column(k)) }) {
		w.Keys = t.placement().Keys()
	}
	if w.Limited && (t.global() || t.sharded() && w.Keys == nil) {
		return nil // some of those that are alike, of one shard
	}
	var own, read []string
	present := ""
	for i := range t.entry.Columns {
		c := &t.entry.Columns[i]
		name := sqlval.QuoteName(c.Name)
		expr := comparable(c.DataType)
		if expr == "" {
			return nil
		}
		if !c.Nullable {
			present = sqlval.QuoteName(t.alias) + "." + name
		}
		own = append(own, strings.ReplaceAll(expr, "?", name))
		read = append(read, strings.ReplaceAll(expr, "?", sqlval.QuoteName(t.alias)+"."+name))
	}
	w.Row = checksum(own)
	sum := checksum(read)
	switch {
	case t.group == s.block0().group:
	case present == "":
		return nil // a row of NULLs may be none, of the outer join
	default:
		sum = "IF(" + present + " IS NULL, NULL, " + sum + ")"
	}
	for _, k := range w.Keys {
		list = append(list, text(sqlval.QuoteName(t.alias)+"."+sqlval.QuoteName(k)+", ")...)
	}
	return append(list, labelled(text(sum), len(t.entry.Columns)+1)...)
}

// ofFamily: rows of t follow another table's, or are followed.
func ofFamily(t *ref) bool {
	return t.entry != nil && (t.placement().Follows() != nil || len(t.entry.Followers) > 0)
}

// comparable is an expression of a column ? that is not NULL and the same for
// the same values only, whatever the session's character set; empty for types
// that have none.
func comparable(dataType string) string {
	switch dataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "double", "year", "date", "datetime", "time", "char", "varchar", "binary", "varbinary":
		return "IFNULL(HEX(CAST(? AS BINARY)), '-')"
	case "enum", "set", "bit":
		return "IFNULL(HEX(CAST(? + 0 AS BINARY)), '-')"
	case "float":
		return "IFNULL(HEX(CAST(?" + allDigits + " AS BINARY)), '-')"
	case "timestamp":
		return "IFNULL(UNIX_TIMESTAMP(?), '-')"
	case "tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob":
		return "IFNULL(SHA2(CAST(? AS BINARY), 256), '-')"
	case "json":
		return "IFNULL(SHA2(CAST(? AS CHAR CHARACTER SET utf8mb4), 256), '-')"
	}
	return ""
}

func checksum(columns []string) string {
	return "SHA2(CONVERT(CONCAT_WS(',', " + strings.Join(columns, ", ") + ") USING utf8mb4), 256)"
}

// ownText makes the UPDATE of one table's rows assign by the client's own text
// where that reads nothing but them, so that each assignment reads what those
// before it have stored. It reports whether it can be.
func (s *staging) ownText(n *ast.UpdateStmt, targets []*ref) (*plan.Staged, error) {
	b := s.block0()
	if len(targets) != 1 || len(b.refs) != 1 || len(b.derived) > 0 || !s.spans.With.Empty() || n.IgnoreErr {
		return nil, nil
	}
	t := targets[0]
	w, list, err := s.target(t, plan.StagedChange)
	if err != nil || w.Row != "" {
		return nil, err
	}
	for i, a := range n.List {
		v := &queryVisitor{}
		a.Expr.Accept(v)
		name := a.Column.Name.O
		if v.found || t.places(name) || containsFold(w.Keys, name) {
			return nil, nil
		}
		w.Set = append(append(separated(w.Set, i), text(sqlval.QuoteName(name)+" = ")...), s.piece(s.spans.Values[i])...)
	}
	if assignsKept(s.uniques(t), n.List) {
		return nil, nil
	}
	w.Alias = t.alias
	s.n.Writes = []plan.StagedWrite{w}
	s.n.Reads = []plan.Template{s.read(list)}
	return s.n, nil
}
