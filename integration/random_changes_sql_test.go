package integration

import (
	"regexp"
	"slices"
	"strings"
)

// next is a random change.
func (g *changer) next() change {
	g.args = nil
	t := pick(g.statements, g.tables...)
	if g.chance(35) {
		t = g.tables[g.r.IntN(5)]
	}
	c := change{writes: []*randomTable{t}}
	switch n := g.r.IntN(100); {
	case n < 30:
		c.sql = g.insert(t)
	case n < 44:
		c.sql = g.insertSelect(t)
	case n < 62:
		c.sql = g.update(t)
	case n < 68:
		c.sql = g.updateKey(t)
	case n < 77:
		c.sql = g.updateJoin(t)
	case n < 88:
		c.sql = g.deleteRows(t)
	case n < 95:
		c.sql = g.deleteJoin(t)
	case n < 98:
		o := g.other(t)
		c.writes = append(c.writes, o)
		c.sql = g.several(t, o)
	default:
		c.sql = pick(g.statements, "TRUNCATE TABLE ", "TRUNCATE ", "DELETE FROM ") + g.name(t.name)
	}
	if g.maria && strings.Contains(c.sql, "= 7.5") {
		return g.next() // which MariaDB takes for 8 where it is joined to a whole number
	}
	c.args = g.args
	if g.maria && g.chance(20) && !strings.HasPrefix(c.sql, "UPDATE") && !strings.HasPrefix(c.sql, "TRUNCATE") && !strings.Contains(c.sql, "tgt") && len(c.writes) == 1 {
		c.returns = true
		list := "*"
		if g.chance(60) {
			list = g.name(t.unique[0]) + ", " + pick(g.statements, "1 + 1", g.name(pick(g.statements, t.columns...).name)+" AS shown", "CONCAT("+g.name(t.unique[0])+", 'x')")
		}
		c.sql += " RETURNING " + list
	}
	return c
}

// chosenColumns are columns of an INSERT, in any order.
func (g *changer) chosenColumns(t *randomTable) []randomColumn {
	var out []randomColumn
	for _, c := range t.writable() {
		if c.name == t.key && !g.chance(1) || t.isUnique(c.name) && !g.chance(1) || g.chance(50) {
			out = append(out, c)
		}
	}
	if g.chance(20) {
		g.r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}

func (g *changer) verb() string {
	return pick(g.statements, "INSERT INTO ", "INSERT INTO ", "INSERT INTO ", "INSERT ", "INSERT IGNORE INTO ", "INSERT IGNORE ", "REPLACE INTO ", "REPLACE ")
}

func (g *changer) insert(t *randomTable) string {
	verb := g.verb()
	columns := g.chosenColumns(t)
	if g.chance(6) && len(columns) > 0 {
		var sets []string
		for _, c := range columns {
			sets = append(sets, g.name(c.name)+" = "+g.given(c, t))
		}
		return verb + g.target(t) + " SET " + strings.Join(sets, ", ") + g.onDuplicate(verb, t, "")
	}
	list := g.columnList(columns)
	if all := t.writable(); len(all) == len(t.columns) && g.chance(10) {
		columns, list = all, " "
	}
	var rows []string
	for range 1 + g.r.IntN(4) {
		var row []string
		for _, c := range columns {
			row = append(row, g.given(c, t))
		}
		rows = append(rows, "("+strings.Join(row, ", ")+")")
	}
	sql := verb + g.target(t) + list + pick(g.statements, "VALUES ", "VALUES ", "VALUE ")
	if !g.maria && g.chance(5) && !g.params {
		sql = verb + g.target(t) + list + "VALUES ROW" + strings.Join(rows, ", ROW")
	} else {
		sql += strings.Join(rows, ", ")
	}
	alias := ""
	if !g.maria && g.chance(10) && strings.HasPrefix(verb, "INSERT") && !strings.Contains(sql, "VALUES ROW") {
		alias = "fresh"
		sql += " AS fresh"
	}
	return sql + g.onDuplicate(verb, t, alias)
}

// onDuplicate is the clause, often empty. The row that is there has a name of
// its own where alias is the new row's.
func (g *changer) onDuplicate(verb string, t *randomTable, alias string) string {
	if !strings.HasPrefix(verb, "INSERT") || !g.chance(35) {
		return ""
	}
	var sets []string
	used := map[string]bool{}
	for range 1 + g.r.IntN(2) {
		columns := t.plainly()
		if g.chance(4) {
			columns = t.writable()
		}
		c := pick(g.statements, columns...)
		if used[c.name] {
			continue
		}
		used[c.name] = true
		name := g.name(c.name)
		fresh := "VALUES(" + name + ")"
		if alias != "" {
			fresh = alias + "." + name
		}
		own := g.name(t.name) + "." + name
		v := pick(g.statements, fresh, fresh, fresh, own, g.from(c.kind, own), g.from(c.kind, fresh), "DEFAULT", "IF("+own+" IS NULL, "+fresh+", "+own+")")
		switch {
		case g.chance(20):
			v = g.value(c.kind)
		case g.chance(4):
			v = g.scalar(c.kind, t)
		case (c.kind == "int" || c.kind == "decimal") && g.chance(50):
			v = own + " + " + fresh
		}
		sets = append(sets, name+" = "+v)
	}
	return " ON DUPLICATE KEY UPDATE " + strings.Join(sets, ", ")
}

// valueOf is a value for c out of a row of s.
func (g *changer) valueOf(c randomColumn, s source) string {
	if same := alike(s.table, c.kind); len(same) > 0 && g.chance(75) {
		v := g.ref(s, pick(g.statements, same...).name)
		if g.chance(25) {
			return g.from(c.kind, v)
		}
		return v
	}
	switch {
	case g.chance(10):
		return g.computed(c.kind)
	case g.chance(3):
		return g.ref(s, pick(g.statements, s.table.columns...).name)
	}
	return g.unparametrized(func() string { return g.value(c.kind) })
}

// insertSelect takes rows from any table, the same one too.
func (g *changer) insertSelect(t *randomTable) string {
	verb := g.verb()
	columns := g.chosenColumns(t)
	if len(columns) == 0 {
		columns = t.writable()
	}
	s := source{pick(g.statements, g.tables...), "src"}
	for s.table.without && !strings.HasPrefix(verb, "INSERT INTO") { // its rows have no order
		s.table = pick(g.statements, g.tables...)
	}
	var list []string
	for _, c := range columns {
		v := g.valueOf(c, s)
		if c.kind == "int" && t.isUnique(c.name) && g.chance(50) { // often keys that are not there yet
			if same := alike(s.table, "int"); len(same) > 0 {
				v = g.ref(s, same[0].name) + pick(g.statements, " + 20", " + 40", " * 7")
			}
		}
		list = append(list, v)
	}
	from, total := " FROM "+g.name(s.table.name)+" AS src", g.total(s)
	head := verb + g.target(t) + g.columnList(columns)
	query := "SELECT " + strings.Join(list, ", ") + from
	cut := ""
	if g.chance(25) {
		cut = g.some(8)
	}
	limited := func(q string) string {
		if s.table.without {
			return q + total // its rows are not told apart
		}
		return q + total + cut
	}
	switch g.r.IntN(10) {
	case 0: // a join with one row at most
		o := g.oneRow(s)
		query = limited(query + o + g.filter(s))
	case 1: // a table made of a table
		with := ""
		if n := g.r.IntN(2); n == 0 {
			with = "WITH src AS (SELECT * FROM " + g.name(s.table.name) + g.unparametrized(func() string { return g.filter(source{s.table, s.table.name}) }) + ") "
			query = with + limited("SELECT "+strings.Join(list, ", ")+" FROM src"+g.filter(s))
		} else {
			query = limited("SELECT " + strings.Join(list, ", ") + " FROM (SELECT * FROM " + g.name(s.table.name) + g.unparametrized(func() string { return g.filter(source{s.table, s.table.name}) }) + ") AS src" + g.filter(s))
		}
	case 2: // two together, whose keys are apart or the statement fails
		if !strings.HasPrefix(verb, "INSERT INTO") && verb != "INSERT " {
			query = limited(query + g.filter(s))
			break
		}
		o := source{s.table, "src"}
		query = query + g.filter(s) + " UNION ALL SELECT " + strings.Join(list, ", ") + from + g.filter(o)
		return head + query
	case 3: // groups
		if t.key != "" && strings.HasPrefix(verb, "INSERT INTO") && !s.table.without {
			return head + g.groups(t, columns, s)
		}
		query = limited(query + g.filter(s))
	default:
		query = limited(query + g.filter(s))
	}
	if s.table.without {
		return head + query
	}
	return head + query + g.onDuplicate(verb, t, "")
}

// groups is a query of one row per value of the source's first unique column.
func (g *changer) groups(t *randomTable, columns []randomColumn, s source) string {
	by := g.ref(s, s.table.unique[0])
	first := s.table.column(s.table.unique[0])
	var list []string
	for _, c := range columns {
		v := g.unparametrized(func() string { return g.value(c.kind) })
		switch {
		case c.kind == first.kind && t.isUnique(c.name):
			v = by
			if c.kind == "int" {
				v += " + 100"
			}
		case c.kind == "int" || c.kind == "decimal":
			v = pick(g.statements, "COUNT(*)", "COUNT(*) * 2")
			if same := alike(s.table, "decimal"); len(same) > 0 && c.kind == "decimal" {
				v = pick(g.statements, "SUM", "MAX", "MIN") + "(" + g.ref(s, same[0].name) + ")"
			}
		}
		list = append(list, v)
	}
	return "SELECT " + strings.Join(list, ", ") + " FROM " + g.name(s.table.name) + " AS src" + g.filter(s) + " GROUP BY " + by
}

// fits: the columns compare without one being converted; of text in two
// collations the servers' ways to join differ.
func fits(a, b randomColumn) bool {
	kind := strings.TrimPrefix(a.kind, made)
	return kind == strings.TrimPrefix(b.kind, made) && kind != "json" && (kind != "text" || collation(a) == collation(b))
}

func collation(c randomColumn) string {
	_, after, _ := strings.Cut(c.ddl, " COLLATE ")
	name, _, _ := strings.Cut(after, " ")
	return name
}

// fitting are the columns of t that compare with c.
func fitting(t *randomTable, c randomColumn) []randomColumn {
	var out []randomColumn
	for _, o := range t.columns {
		if fits(c, o) {
			out = append(out, o)
		}
	}
	return out
}

// oneRow joins s with a table that has one row at most for each of its.
func (g *changer) oneRow(s source) string {
	var fit []*randomTable
	for _, o := range g.tables {
		if len(o.unique) == 1 && o != s.table && len(fitting(s.table, o.column(o.unique[0]))) > 0 {
			fit = append(fit, o)
		}
	}
	if len(fit) == 0 {
		return ""
	}
	o := pick(g.statements, fit...)
	u := o.column(o.unique[0])
	mine := pick(g.statements, fitting(s.table, u)...)
	return pick(g.statements, " JOIN ", " LEFT JOIN ") + g.name(o.name) + " AS oth ON oth." + g.name(u.name) + " = " + g.ref(s, mine.name)
}

// sets are assignments of t's columns other than keys.
func (g *changer) sets(t *randomTable, s source) string {
	var out []string
	used := map[string]bool{}
	for range 1 + g.r.IntN(3) {
		c := pick(g.statements, t.plainly()...)
		if !used[c.name] {
			used[c.name] = true
			out = append(out, g.ref(s, c.name)+" = "+g.assigned(c, t, s))
		}
	}
	return strings.Join(out, ", ")
}

// meant are the clauses that say which rows of s are meant.
func (g *changer) meant(s source) string {
	where := ""
	if g.chance(25) {
		where = " WHERE " + g.within(s)
	} else {
		where = g.filter(s)
	}
	switch {
	case s.table.without:
		return where
	case g.chance(30):
		return where + g.total(s) + g.some(6)
	case g.chance(10):
		return where + g.total(s)
	}
	return where
}

// with is a CTE before a change, of servers that know it.
func (g *changer) with(sql, where string, s source) string {
	o := g.other(s.table)
	same := fitting(o, s.table.column(s.table.unique[0]))
	if g.maria || len(same) == 0 {
		return sql + where
	}
	c := same[0]
	return "WITH few AS (SELECT " + g.name(c.name) + " AS x FROM " + g.name(o.name) + " AS sub) " + sql + " WHERE " + g.ref(s, s.table.unique[0]) + " IN (SELECT x FROM few)"
}

func (g *changer) update(t *randomTable) string {
	s := source{t, t.name}
	head := pick(g.statements, "UPDATE ", "UPDATE ", "UPDATE ", "UPDATE IGNORE ") + g.name(t.name)
	if g.chance(20) {
		s.alias = "tgt"
		head += pick(g.statements, " AS tgt", " tgt")
	}
	sets := g.sets(t, s)
	sql := head + " SET " + sets
	if strings.HasPrefix(head, "UPDATE IGNORE") && t.assignsUnique(sets) && !t.without {
		return sql + g.filter(s) + g.total(s)
	}
	if g.chance(6) {
		return g.with(sql, "", s)
	}
	return sql + g.meant(s)
}

// assignsUnique: a column of a unique key beside the primary key is assigned.
func (t *randomTable) assignsUnique(sets string) bool {
	for _, m := range t.more {
		_, columns, ok := strings.Cut(m, "(")
		for _, c := range strings.Split(strings.TrimSuffix(columns, ")"), ", ") {
			if ok && strings.HasPrefix(m, "UNIQUE") && regexp.MustCompile("\\b"+strings.Trim(c, "`")+"[`\"]? = ").MatchString(sets) {
				return true
			}
		}
	}
	return false
}

// updateKey gives rows another key.
func (g *changer) updateKey(t *randomTable) string {
	name := t.key
	if name == "" || g.chance(25) {
		name = pick(g.statements, t.unique...)
	}
	c := t.column(name)
	s := source{t, t.name}
	own := g.ref(s, name)
	v := pick(g.statements, g.from(c.kind, own), own)
	if c.kind == "int" && g.chance(60) {
		v = own + pick(g.statements, " + 100", " + 50", " * 1", " - 100", " + 0.2")
	} else if g.chance(40) {
		v = g.value(c.kind)
	}
	sql := "UPDATE " + g.name(t.name) + " SET " + g.name(name) + " = " + v
	if len(t.plainly()) > 0 && g.chance(30) {
		o := pick(g.statements, t.plainly()...)
		sql += ", " + g.ref(s, o.name) + " = " + g.assigned(o, t, s)
	}
	sql += g.filter(s)
	if t.without {
		return sql
	}
	return sql + g.total(s) + pick(g.statements, " LIMIT 1", " LIMIT 2", "")
}

// join is a FROM clause of t and others: what it is joined with, and whether
// that has one row at most for each of t's.
func (g *changer) join(t *randomTable) (text string, a, b source, one bool) {
	a = source{t, "tgt"}
	var fit []*randomTable
	for _, o := range g.tables {
		if len(o.unique) == 1 && o != t && len(fitting(t, o.column(o.unique[0]))) > 0 {
			fit = append(fit, o)
		}
	}
	kind := pick(g.statements, " JOIN ", " JOIN ", " LEFT JOIN ", " INNER JOIN ")
	if len(fit) > 0 && g.chance(60) {
		o := pick(g.statements, fit...)
		u := o.column(o.unique[0])
		mine := pick(g.statements, fitting(t, u)...)
		on := g.ref(a, mine.name) + " = oth." + g.name(u.name)
		if g.chance(20) && kind != " LEFT JOIN " {
			return g.name(t.name) + " AS tgt, " + g.name(o.name) + " AS oth WHERE " + on, a, source{o, "oth"}, true
		}
		return g.name(t.name) + " AS tgt" + kind + g.name(o.name) + " AS oth ON " + on, a, source{o, "oth"}, true
	}
	o := g.other(t)
	x, y := pick(g.statements, t.columns...), pick(g.statements, o.columns...)
	for try := 0; !fits(x, y) && try < 40; try++ {
		x, y = pick(g.statements, t.columns...), pick(g.statements, o.columns...)
	}
	if !fits(x, y) {
		return g.join(t)
	}
	b = source{o, "oth"}
	return g.name(t.name) + " AS tgt" + kind + g.name(o.name) + " AS oth ON " + g.ref(a, x.name) + " = " + g.ref(b, y.name), a, b, false
}

func (g *changer) updateJoin(t *randomTable) string {
	text, a, b, one := g.join(t)
	c := pick(g.statements, t.plainly()...)
	for t.assignsUnique(c.name + " = ") {
		c = pick(g.statements, t.plainly()...)
	}
	var cond string
	text, cond, _ = strings.Cut(text, " WHERE ")
	set := g.ref(a, c.name) + " = "
	if same := alike(b.table, c.kind); one && len(same) > 0 && g.chance(70) {
		v := g.ref(b, pick(g.statements, same...).name)
		set += pick(g.statements, v, g.from(c.kind, v))
	} else if one {
		set += g.assigned(c, t, a)
		if strings.HasSuffix(set, "DEFAULT") {
			set = strings.TrimSuffix(set, "DEFAULT") + g.ref(a, c.name) // MySQL makes NULL of a CURRENT_TIMESTAMP
		}
	} else {
		set += g.unparametrized(func() string { return pick(g.statements, g.value(c.kind), g.ref(a, c.name), g.value(c.kind)) })
	}
	sql := pick(g.statements, "UPDATE ", "UPDATE ", "UPDATE IGNORE ") + text + " SET " + set
	more := g.atom([]source{pick(g.statements, a, b)})
	switch {
	case cond != "":
		return sql + " WHERE " + cond + " AND " + more
	}
	return sql + " WHERE " + more
}

func (g *changer) deleteRows(t *randomTable) string {
	s := source{t, t.name}
	sql := pick(g.statements, "DELETE FROM ", "DELETE FROM ", "DELETE QUICK FROM ", "DELETE IGNORE FROM ") + g.name(t.name)
	if g.chance(6) {
		return g.with(sql, " WHERE "+g.atom([]source{s}), s)
	}
	where := g.meant(s)
	if where == "" {
		where = " WHERE " + g.atom([]source{s})
	}
	return sql + where
}

func (g *changer) deleteJoin(t *randomTable) string {
	text, a, b, _ := g.join(t)
	sql := pick(g.statements, "DELETE tgt FROM ", "DELETE FROM tgt USING ") + text
	if strings.Contains(text, " WHERE ") {
		sql += " AND "
	} else {
		sql += " WHERE "
	}
	return sql + g.atom([]source{pick(g.statements, a, b)})
}

// several changes two tables at once.
func (g *changer) several(t, o *randomTable) string {
	a, b := source{t, "tgt"}, source{o, "oth"}
	x, y := t.column(t.unique[0]), o.column(o.unique[0])
	if t.key != "" {
		x = t.column(t.key)
	}
	if o.key != "" {
		y = o.column(o.key)
	}
	text := g.name(t.name) + " AS tgt JOIN " + g.name(o.name) + " AS oth ON " + g.ref(a, x.name) + " = " + g.ref(b, y.name)
	if !fits(x, y) {
		text = g.name(t.name) + " AS tgt, " + g.name(o.name) + " AS oth"
	}
	where := " WHERE " + g.unparametrized(func() string { return g.atom([]source{a}) + " AND " + g.atom([]source{b}) })
	if g.chance(50) {
		return "DELETE tgt, oth FROM " + text + where
	}
	c, d := pick(g.statements, t.plainly()...), pick(g.statements, o.plainly()...)
	if slices.Contains([]string{c.kind, d.kind}, "json") {
		return "DELETE tgt, oth FROM " + text + where
	}
	return g.unparametrized(func() string {
		return "UPDATE " + text + " SET " + g.ref(a, c.name) + " = " + g.value(c.kind) + ", " + g.ref(b, d.name) + " = " + g.value(d.kind) + where
	})
}
