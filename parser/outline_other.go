package parser

import "strings"

// runOther finds the tables of a statement that is no query and changes no
// rows: its names, as the tree has them, behind a word that may precede a
// table.
func (o *outline) runOther(refs []tableRef) {
	wanted := map[string]int{}
	for _, r := range refs {
		wanted[nameKey(r.node.Schema.O, r.node.Name.O)]++
	}
	for o.i < len(o.tokens) {
		if !o.isName(o.i) || !o.tableMayFollow(o.i-1) || o.isPunct(o.i-1, '.') {
			o.i++
			continue
		}
		before := o.i
		o.table(false)
		c := o.tables[len(o.tables)-1]
		key := nameKey(c.name.Schema, c.name.Table)
		if wanted[key] == 0 || o.tokens[before].kw == kwExists || o.tokens[before].kw == kwIf {
			o.tables = o.tables[:len(o.tables)-1]
			o.i = before + 1
			continue
		}
		wanted[key]--
	}
}

func nameKey(schema, table string) string { return schema + "\x00" + table }

// tableMayFollow: behind the word or comma at i a table can stand.
func (o *outline) tableMayFollow(i int) bool {
	if i < 0 {
		return false
	}
	switch o.kw(i) {
	case kwTable, kwTables, kwExists, kwOn, kwFrom, kwIn, kwTo, kwLike, kwView, kwTruncate, kwDesc,
		kwDescribe, kwExplain, kwInto, kwAs:
		return true
	}
	if o.isPunct(i, ',') {
		return true
	}
	t := o.tokens[i]
	if t.kind != tokenWord {
		return false
	}
	switch strings.ToUpper(o.text[t.start:t.end]) {
	case "REFERENCES", "RENAME", "NO_WRITE_TO_BINLOG", "LOCAL", "SEQUENCE", "COLUMNS", "FIELDS":
		return true
	}
	return false
}
