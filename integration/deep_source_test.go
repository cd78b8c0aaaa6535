package integration

import (
	"slices"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// beside joins what reads the columns of its left neighbours: LATERAL, or a
// JSON_TABLE of one of them.
func (g *deep) beside(left rel, commas bool) rel {
	words := []string{" JOIN ", " LEFT JOIN "}
	on := " ON TRUE"
	if commas {
		words, on = []string{", "}, ""
	}
	word := one1(g, words)
	if g.engine == mysqlproc.MySQL && g.chance(60) {
		q := g.rows(scope{outer: left.cols}, 0, nil)
		o := g.derived("LATERAL ("+q.sql+")", q)
		out := rel{sql: left.sql + word + o.sql + on, cols: append(slices.Clone(left.cols), o.cols...), conds: left.conds}
		if left.unique != nil && o.unique != nil {
			out.unique = append(slices.Clone(left.unique), o.unique...)
		}
		return out
	}
	document := one1(g, []string{"'[1, 2, 7]'", "'[]'", "'{\"n\": 3}'"})
	for _, c := range left.cols {
		if c.k == kJSON && c.show == asIs && g.chance(70) {
			document = c.sql
		}
	}
	alias := g.alias()
	path := one1(g, []string{"'$[*]'", "'$'", "'$.n'"})
	out := rel{
		sql:   left.sql + word + "JSON_TABLE(" + document + ", " + path + " COLUMNS (o FOR ORDINALITY, v INT PATH '$', e INT EXISTS PATH '$.n')) AS " + alias + on,
		cols:  append(slices.Clone(left.cols), val{sql: alias + ".o", k: kInt}, val{sql: alias + ".v", k: kInt}, val{sql: alias + ".e", k: kInt}),
		conds: left.conds,
	}
	if left.unique != nil {
		out.unique = append(slices.Clone(left.unique), val{sql: alias + ".o", k: kInt})
	}
	return out
}

// constants is a reference to rows that stand in the text, or to a whole table
// by TABLE.
func (g *deep) constants() rel {
	if g.engine == mysqlproc.MariaDB {
		return g.derived("(SELECT 1 AS c1, 'a' COLLATE utf8mb4_bin AS c2 UNION ALL VALUES (2, 'B'), (3, NULL))",
			query{cols: []val{{sql: "c1", k: kInt}, {sql: "c2", k: kText, coll: "utf8mb4_bin"}}, unique: []int{0}})
	}
	if g.chance(50) {
		t := one1(g, g.tables)
		q := query{unique: t.unique}
		for _, c := range t.columns {
			q.cols = append(q.cols, val{sql: c.name, k: c.k, coll: c.coll})
		}
		return g.derived("(TABLE "+t.name+")", q)
	}
	out := g.derived("(VALUES ROW(1, 2.5), ROW(2, NULL), ROW(7, -1.25))", query{cols: []val{{sql: "c1", k: kInt}, {sql: "c2", k: kDec}}, unique: []int{0}})
	out.sql += " (c1, c2)"
	return out
}
