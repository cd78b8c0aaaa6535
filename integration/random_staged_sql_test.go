package integration

import (
	"fmt"
	"slices"
	"strings"
)

// staged is a random write of the kinds that Serval may have to read first:
// its rows, its values or which rows are meant come from other tables. Where
// the order of rows matters the statement gives one.
func (g *statements) staged() randomStatement {
	g.args = nil
	t := pick(g, g.tables...)
	if g.chance(30) {
		t = g.tables[g.r.IntN(5)]
	}
	st := randomStatement{writes: t}
	switch g.r.IntN(12) {
	case 0, 1, 2, 3:
		st.sql = g.insertSelect(t)
	case 4:
		st.sql = g.insertComputed(t)
	case 5, 6:
		st.sql = g.updateChosen(t)
	case 7:
		st.sql = g.updateKey(t)
	case 8, 9:
		st.sql = g.updateJoin(t)
	case 10:
		st.sql = g.deleteChosen(t)
	default:
		st.sql = g.deleteJoin(t)
	}
	st.args = g.args
	return st
}

// unparametrized makes text without parameters, whatever the statement's way.
func (g *statements) unparametrized(make func() string) string {
	was := g.params
	g.params = false
	defer func() { g.params = was }()
	return make()
}

// valueFor is a value for a column, out of a row of s.
func (g *statements) valueFor(c randomColumn, s source) string {
	var same []string
	for _, o := range s.table.columns {
		if o.kind == c.kind {
			same = append(same, g.ref(s, o.name))
		}
	}
	switch {
	case len(same) > 0 && g.chance(70):
		v := pick(g, same...)
		switch {
		case c.kind == "int" && g.chance(40):
			return v + pick(g, " + 1", " + 7", " * 2", " - 3")
		case c.kind == "text" && g.chance(20):
			return pick(g, "UPPER("+v+")", "CONCAT("+v+", 'x')", "LEFT("+v+", 1)")
		case c.kind == "decimal" && g.chance(30):
			return v + pick(g, " + 1", " / 3", " * 1.5")
		}
		return v
	case g.chance(6):
		return g.ref(s, pick(g, s.table.columns...).name)
	case g.chance(3):
		return g.unparametrized(g.odd)
	}
	return g.valueNow(c.kind)
}

// uniqueOrder leaves no choice among rows of s.
func (g *statements) uniqueOrder(s source) string {
	var order []string
	for _, u := range s.table.unique {
		order = append(order, g.ref(s, u)+pick(g, "", " DESC"))
	}
	return " ORDER BY " + strings.Join(order, ", ")
}

// insertList are columns of an INSERT: all that must be, and some others.
func (g *statements) insertList(t *randomTable) []randomColumn {
	var out []randomColumn
	for _, c := range t.columns {
		if c.name == t.key || slices.Contains(t.unique, c.name) || g.chance(60) {
			out = append(out, c)
		}
	}
	return out
}

func (g *statements) columnList(columns []randomColumn) string {
	var names []string
	for _, c := range columns {
		names = append(names, g.name(c.name))
	}
	return " (" + strings.Join(names, ", ") + ") "
}

func (g *statements) insertSelect(t *randomTable) string {
	verb := pick(g, "INSERT INTO ", "INSERT INTO ", "INSERT IGNORE INTO ", "REPLACE INTO ", "REPLACE INTO ")
	columns := g.insertList(t)
	from := pick(g, g.tables...)
	s := source{from, "src"}
	var list []string
	for _, c := range columns {
		list = append(list, g.valueFor(c, s))
	}
	if t.key == "" || t.column(t.key).kind == "int" || g.chance(50) { // keep keys apart more often than not
		for i, c := range columns {
			if c.kind == "int" && slices.Contains(t.unique, c.name) && slices.Contains(from.unique, "n") {
				list[i] = "src.n + " + fmt.Sprint(20*g.r.IntN(4))
			}
		}
	}
	sql := verb + g.target(t) + g.columnList(columns) + "SELECT " + strings.Join(list, ", ") + " FROM " + g.name(from.name) + " AS src" +
		g.where([]source{s}) + g.uniqueOrder(s)
	if g.chance(30) {
		sql += fmt.Sprintf(" LIMIT %d", 1+g.r.IntN(8))
	}
	if strings.HasPrefix(verb, "INSERT INTO") && g.chance(50) {
		c := t.columns[len(t.columns)-1]
		name := g.name(c.name)
		sql += " ON DUPLICATE KEY UPDATE " + name + " = " + pick(g, "VALUES("+name+")", g.valueNow(c.kind), "NULL", g.name(t.name)+"."+name)
	}
	return sql
}

// insertComputed is an INSERT of rows whose values must be computed.
func (g *statements) insertComputed(t *randomTable) string {
	columns := g.insertList(t)
	var rows []string
	for range 1 + g.r.IntN(3) {
		var row []string
		for _, c := range columns {
			v := g.value(c.kind)
			switch {
			case c.kind == "int" && g.chance(40):
				v = pick(g, "20 + 7", "7 * 3", "ABS(-15)", "(SELECT MAX(n) + 1 FROM peers)", "(SELECT COUNT(*) + 30 FROM vals)")
			case c.kind == "text" && g.chance(30):
				v = pick(g, "CONCAT('a', 'b')", "(SELECT MIN(s) FROM whole)", "UPPER('q')", "(SELECT s FROM glob ORDER BY id LIMIT 1)")
			case c.kind == "decimal" && g.chance(30):
				v = pick(g, "1.5 * 3", "(SELECT SUM(v) FROM peers)", "1 / 3", "1 / 0")
			case g.chance(5) && c.name != t.key:
				v = "DEFAULT"
			}
			row = append(row, v)
		}
		rows = append(rows, "("+strings.Join(row, ", ")+")")
	}
	return pick(g, "INSERT INTO ", "INSERT INTO ", "REPLACE INTO ", "INSERT IGNORE INTO ") + g.target(t) + g.columnList(columns) + "VALUES " + strings.Join(rows, ", ")
}

// within is a condition with a subquery.
func (g *statements) within(s source) string {
	o := source{pick(g, g.tables...), "sub"}
	for o.table == s.table {
		o.table = pick(g, g.tables...) // a server may not read what it writes
	}
	outer, inner := pick(g, s.table.columns...), pick(g, o.table.columns...)
	// Of text in two collations MariaDB's SELECT and UPDATE make different things.
	alike := func() bool { return inner.kind == outer.kind && (inner.kind != "text" || inner.ddl == outer.ddl) }
	for try := 0; !alike() && try < 20; try++ {
		outer, inner = pick(g, s.table.columns...), pick(g, o.table.columns...)
	}
	if !alike() {
		outer, inner = s.table.columns[0], o.table.columns[0]
		return "EXISTS (SELECT 1 FROM " + g.name(o.table.name) + " AS sub WHERE " + g.atom([]source{o}) + ")"
	}
	a, b := g.ref(s, outer.name), g.ref(o, inner.name)
	from := " FROM " + g.name(o.table.name) + " AS sub"
	switch g.r.IntN(5) {
	case 0:
		return a + pick(g, " IN ", " IN ", " NOT IN ") + "(SELECT " + b + from + g.where([]source{o}) + ")"
	case 1:
		return pick(g, "", "NOT ") + "EXISTS (SELECT 1" + from + " WHERE " + b + " = " + a + ")"
	case 2:
		return a + pick(g, " = ", " < ", " >= ") + "(SELECT " + pick(g, "MIN", "MAX") + "(" + b + ")" + from + ")"
	case 3:
		return "(SELECT COUNT(*)" + from + " WHERE " + b + " = " + a + ") " + pick(g, "> 0", "= 1", "= 0")
	}
	return a + " IN (SELECT " + b + from + " WHERE " + g.atom([]source{o}) + ")"
}

// chosen are the clauses that say which rows of s are meant.
func (g *statements) chosen(s source) string {
	where := " WHERE " + g.condition([]source{s}, 1)
	if g.chance(50) {
		where = " WHERE " + g.within(s)
		if g.chance(30) {
			where += " AND " + g.atom([]source{s})
		}
	}
	if g.chance(60) {
		n := int64(1 + g.r.IntN(9))
		return where + g.uniqueOrder(s) + " LIMIT " + g.lit(fmt.Sprint(n), n)
	}
	return where
}

// assignment gives a value to a column that is no key.
func (g *statements) assignment(t *randomTable, s source) string {
	c := pick(g, t.columns...)
	for try := 0; (c.name == t.key || slices.Contains(t.unique, c.name)) && try < 20; try++ {
		c = pick(g, t.columns...)
	}
	v := g.valueFor(c, s)
	if c.kind == "int" || c.kind == "decimal" || c.kind == "double" {
		o := pick(g, g.tables[0], g.tables[1])
		if o != t && g.chance(40) {
			v = pick(g, "(SELECT COUNT(*) FROM "+o.name+" AS sv WHERE sv.id = "+g.ref(s, t.unique[0])+")", "(SELECT MAX(id) FROM "+o.name+")",
				"(SELECT COUNT(*) FROM "+o.name+" AS sv WHERE sv.id > 3)")
		}
	}
	return g.ref(s, c.name) + " = " + v
}

func (g *statements) updateChosen(t *randomTable) string {
	s := source{t, t.name}
	sets := []string{g.assignment(t, s)}
	return pick(g, "UPDATE ", "UPDATE ", "UPDATE IGNORE ") + g.name(t.name) + " SET " + strings.Join(sets, ", ") + g.chosen(s)
}

// updateKey gives rows another key.
func (g *statements) updateKey(t *randomTable) string {
	name := t.key
	if name == "" {
		name = t.unique[0]
	}
	c := t.column(name)
	s := source{t, t.name}
	v := g.valueNow(c.kind)
	if c.kind == "int" && g.chance(60) {
		v = g.name(name) + pick(g, " + 100", " + 50", " * 1")
	}
	sql := "UPDATE " + g.name(t.name) + " SET " + g.name(name) + " = " + v
	if len(t.unique) > 1 && g.chance(30) {
		sql += ", " + g.assignment(t, s)
	}
	where := " WHERE " + g.atom([]source{s})
	return sql + where + g.uniqueOrder(s) + pick(g, " LIMIT 1", " LIMIT 2", "")
}

// joined is a FROM clause of t and another table, with what it is joined on.
func (g *statements) joined(t *randomTable) (text string, a, b source, alone bool) {
	a = source{t, "tgt"}
	b = source{pick(g, g.tables...), "oth"}
	for b.table == t {
		b.table = pick(g, g.tables...)
	}
	x, y := pick(g, t.columns...), pick(g, b.table.columns...)
	for try := 0; x.kind != y.kind && try < 30; try++ {
		x, y = pick(g, t.columns...), pick(g, b.table.columns...)
	}
	if x.kind != y.kind { // a table has an int somewhere, and so has the other
		x, y = t.column(t.unique[len(t.unique)-1]), b.table.column(b.table.unique[len(b.table.unique)-1])
	}
	on := g.ref(a, x.name) + " = " + g.ref(b, y.name)
	other := g.name(b.table.name) + " AS oth"
	if g.chance(25) {
		other = "(SELECT " + g.name(y.name) + ", COUNT(*) AS many FROM " + g.name(b.table.name) + " GROUP BY " + g.name(y.name) + ") AS oth"
		b.table = &randomTable{name: "oth", columns: []randomColumn{y, {"many", "int", ""}}, unique: []string{y.name}}
	}
	switch g.r.IntN(4) {
	case 0:
		return g.name(t.name) + " AS tgt, " + other + " WHERE " + on, a, b, false
	case 1:
		return g.name(t.name) + " AS tgt LEFT JOIN " + other + " ON " + on, a, b, true
	}
	return g.name(t.name) + " AS tgt JOIN " + other + " ON " + on, a, b, true
}

// clause is a condition behind joined.
func (g *statements) clause(text string, s source, where bool) string {
	switch {
	case g.chance(30):
		return text
	case where:
		return text + " WHERE " + g.atom([]source{s})
	}
	return text + " AND " + g.atom([]source{s})
}

func (g *statements) updateJoin(t *randomTable) string {
	text, a, b, where := g.joined(t)
	set := g.assignment(t, a)
	if b.table.name == "oth" && g.chance(50) { // one row of it at most
		for _, c := range t.columns {
			if c.kind == "int" && c.name != t.key && !slices.Contains(t.unique, c.name) {
				set = g.ref(a, c.name) + " = oth.many"
			}
		}
	}
	table, cond := text, ""
	if i := strings.Index(text, " WHERE "); i >= 0 {
		table, cond = text[:i], text[i:]
	}
	mark := g.unparametrized(func() string { return g.clause(cond, a, where) })
	return pick(g, "UPDATE ", "UPDATE ", "UPDATE IGNORE ") + table + " SET " + set + mark
}

func (g *statements) deleteChosen(t *randomTable) string {
	return "DELETE FROM " + g.name(t.name) + g.chosen(source{t, t.name})
}

func (g *statements) deleteJoin(t *randomTable) string {
	text, a, _, where := g.joined(t)
	return pick(g, "DELETE tgt FROM ", "DELETE FROM tgt USING ") + g.clause(text, a, where)
}
