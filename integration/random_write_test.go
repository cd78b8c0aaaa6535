package integration

import (
	"fmt"
	"slices"
	"strings"
)

// fill is one INSERT of n rows that break no key.
func (g *statements) fill(t *randomTable, n int) string {
	g.params = false
	seen := map[string]bool{}
	var rows []string
	for try := 0; len(rows) < n && try < 20*n; try++ {
		values := g.tuple(t, len(rows))
		var id []string
		for i, c := range t.columns {
			for _, u := range t.unique {
				if c.name == u {
					if c.kind != "int" && values[i] == "NULL" {
						values[i] = g.value(c.kind)
					}
					id = append(id, folded.Replace(strings.ToLower(values[i])))
				}
			}
		}
		if key := strings.Join(id, "|"); !seen[key] {
			seen[key] = true
			rows = append(rows, "("+strings.Join(values, ", ")+")")
		}
	}
	return "INSERT INTO " + quoted(t.name) + " VALUES " + strings.Join(rows, ", ")
}

// tuple is one row of literals; row numbers make unique ids.
func (g *statements) tuple(t *randomTable, row int) []string {
	var values []string
	for _, c := range t.columns {
		notNull := strings.Contains(c.ddl, "NOT NULL") || c.name == t.key
		v := g.value(c.kind)
		if notNull && c.kind == "int" && row >= 0 {
			v = fmt.Sprint(row + 1)
			if len(t.unique) == 2 && c.name == t.key {
				v = fmt.Sprint(row/2 + 1)
			}
		}
		if !notNull && g.chance(15) {
			v = "NULL"
		}
		values = append(values, v)
	}
	return values
}

// write is a random INSERT, REPLACE, UPDATE or DELETE.
func (g *statements) write() randomStatement {
	g.args = nil
	t := pick(g, g.tables...)
	if g.chance(20) {
		t = g.tables[g.r.IntN(2)]
	}
	st := randomStatement{writes: t}
	switch g.r.IntN(8) {
	case 0, 1, 2, 3:
		st.sql = g.insert(t)
	case 4, 5, 6:
		st.sql = g.update(t)
	default:
		st.sql = "DELETE" + g.gap() + "FROM " + g.target(t) + g.where([]source{{t, t.name}})
	}
	st.args = g.args
	return st
}

func (g *statements) target(t *randomTable) string {
	return pick(g, "", "", "", g.name(g.schema)+".") + g.name(t.name)
}

func (g *statements) insert(t *randomTable) string {
	verb := pick(g, "INSERT INTO", "INSERT INTO", "INSERT", "INSERT IGNORE INTO", "REPLACE INTO", "insert into")
	var names []string
	keep := make([]bool, len(t.columns))
	for i, c := range t.columns {
		must := c.name == t.key
		for _, u := range t.unique {
			must = must || u == c.name
		}
		if keep[i] = must || g.chance(50); keep[i] {
			names = append(names, g.name(c.name))
		}
	}
	var rows []string
	for range 1 + g.r.IntN(5) {
		mark := len(g.args)
		values := g.tuple(t, -1)
		g.args = g.args[:mark]
		var row []string
		for i, c := range t.columns {
			switch {
			case !keep[i]:
				continue
			case g.params || values[i] == "NULL" && g.chance(50):
				values[i] = g.value(c.kind)
			case g.chance(8):
				values[i] = g.odd()
			case c.name == t.key && g.chance(2):
				values[i] = "DEFAULT"
			}
			row = append(row, values[i])
		}
		rows = append(rows, "("+strings.Join(row, ", ")+")")
	}
	sql := verb + g.gap() + g.target(t) + " (" + strings.Join(names, ", ") + ")" + g.gap() + pick(g, "VALUES", "values", "VALUE") + " " + strings.Join(rows, ", ")
	if strings.HasPrefix(verb, "INSERT INTO") && g.chance(30) {
		c := pick(g, t.columns...)
		name := g.name(c.name)
		sql += " ON DUPLICATE KEY UPDATE " + name + " = " + pick(g, "VALUES("+name+")", name, "NULL", g.valueNow(c.kind))
	}
	return sql
}

// valueNow is a literal where it may be thrown away: never a parameter.
func (g *statements) valueNow(kind string) string {
	was := g.params
	g.params = false
	defer func() { g.params = was }()
	return g.value(kind)
}

func (g *statements) update(t *randomTable) string {
	var sets []string
	rekeys := false
	for range 1 + g.r.IntN(2) {
		c := pick(g, t.columns...)
		if (c.name == t.key || strings.Contains(c.ddl, "NOT NULL")) && g.chance(80) {
			c = t.columns[len(t.columns)-1]
		}
		value := g.valueNow(c.kind)
		switch {
		case g.chance(12):
			value = g.odd()
		case (c.kind == "int" || c.kind == "decimal") && g.chance(40):
			value = g.name(c.name) + " + 1"
		case g.chance(20):
			value = g.name(pick(g, t.columns...).name)
		}
		sets = append(sets, g.name(c.name)+" = "+value)
		rekeys = rekeys || slices.Contains(t.unique, c.name)
	}
	verb, order := pick(g, "UPDATE", "UPDATE IGNORE", "update", "UPDATE", "UPDATE"), ""
	if verb == "UPDATE IGNORE" && rekeys {
		// Of rows that would get one key the first has it, and only this says which is.
		order = " ORDER BY `" + strings.Join(t.unique, "`, `") + "`"
	}
	return verb + g.gap() + g.target(t) + " SET " + strings.Join(sets, ", ") + g.where([]source{{t, t.name}}) + order
}
