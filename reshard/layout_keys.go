package reshard

import (
	"slices"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/shardrule"
)

// keys says what of a table's keys and columns stands in the way.
func (b *between) keys(t *Table, before, after *catalog.Table) {
	name := tableName{t.Schema, t.Name}
	b.primary(t, name)
	for _, c := range t.To.Columns() {
		if t.To.Kind == shardrule.Sharded && t.To.Follows() == nil && c.Type == shardrule.TypeOther {
			b.refuse(name, "its new sharding column "+c.Name+" is not there, or of a type that "+t.To.Algorithm.Name()+" does not take", "change the column or the rule")
		}
	}
	for _, x := range []*catalog.Table{before, after} {
		if x != nil && len(x.WantsUnique) > 0 && !sameKey(t.From, t.To) && (x == before || lookupThere(after)) {
			b.refuse(name, "the lookup tables of its unique: hold the sharding column, which would be another one",
				"take unique: out before, and add it when the table has moved")
			return
		}
	}
	for _, key := range t.Definition.UniqueKeys {
		b.unique(t, name, key, before, after)
	}
	if after != nil && len(after.WantsUnique) > len(after.Uniques) {
		b.remark(name, "a lookup table of its unique: is not there yet", "serval check --live --repair builds it when the table has moved; until then each shard keeps the key by itself")
	}
	primary := t.Definition.PrimaryKey
	kept := keeps(t.Definition, t.From, before, primary, true)
	if numbered := len(primary) == 1 && strings.EqualFold(primary[0], t.Definition.AutoIncrement); len(primary) > 0 && kept && !numbered && !keeps(t.Definition, t.To, after, primary, false) {
		b.apart(t, name, "primary key", primary)
	}
	if !kept && !t.splits() {
		b.remark(name, "its primary key does not have the sharding column"+columnsText(t.From)+": two shards may have rows that are equal in it, which stop the job when they meet", "")
	}
}

// lookupThere: a lookup table of the table exists.
func lookupThere(t *catalog.Table) bool { return len(t.Uniques) > 0 }

// sameKey: both place rows by the same column.
func sameKey(p, q *shardrule.Placement) bool {
	return p.Kind == shardrule.Sharded && q.Kind == shardrule.Sharded && slices.EqualFunc(p.Keys(), q.Keys(), strings.EqualFold)
}

// columnsText are the sharding columns behind the words "sharding column".
func columnsText(p *shardrule.Placement) string {
	if !p.Composite() {
		return " " + p.Column.Name
	}
	text := "s "
	for i, part := range p.Parts {
		switch {
		case part.Or:
			text += " or "
		case i > 0:
			text += ", "
		}
		text += part.Column.Name
	}
	return text
}

// primary: rows are found again by their primary key.
func (b *between) primary(t *Table, name tableName) {
	if len(t.Definition.PrimaryKey) == 0 {
		b.refuse(name, "it has no primary key, by which rows are copied and followed", "add one")
	}
	for _, column := range t.Definition.PrimaryKey {
		i := slices.IndexFunc(t.Definition.Columns, func(c catalog.Column) bool { return strings.EqualFold(c.Name, column) })
		if i < 0 {
			continue
		}
		switch kind := t.Definition.Columns[i].DataType; {
		case kind == "float" || kind == "double":
			b.refuse(name, "column "+column+" of its primary key is a "+strings.ToUpper(kind)+", whose values cannot be named exactly", "make it a DECIMAL")
		case strings.HasSuffix(kind, "text") || strings.HasSuffix(kind, "blob"):
			b.refuse(name, "column "+column+" of its primary key is a "+strings.ToUpper(kind)+", of which the key has only the beginning", "make it a VARCHAR or VARBINARY")
		}
	}
}

// unique: a key that is unique now must be so then, and rows that no key kept
// apart must not meet in one table.
func (b *between) unique(t *Table, name tableName, key []string, before, after *catalog.Table) {
	columns := strings.Join(key, ", ")
	now := keeps(t.Definition, t.From, before, key, true)
	then := keeps(t.Definition, t.To, after, key, false)
	switch {
	case now && !then:
		b.apart(t, name, "unique key ("+columns+")", key)
	case !now && (then || !t.splits()):
		b.refuse(name, "its unique key ("+columns+") is kept by each shard for itself today, so two rows that are equal in it could meet in one new table",
			"drop the key, or have it kept over all shards first: unique: [["+columns+"]] and serval check --live --repair")
	}
}

// apart: rows that are equal in a key could be on two shards.
func (b *between) apart(t *Table, name tableName, what string, key []string) {
	do := "add unique: [[" + strings.Join(key, ", ") + "]] to its new rule, or choose another column"
	if t.To.Composite() {
		do = "add them to the key, or choose other columns"
	}
	b.refuse(name, "its "+what+" does not have the new sharding column"+columnsText(t.To)+", so equal values could be on two shards", do)
}

// keeps: the key is unique over all rows. Ready asks that a lookup table has all
// of them, else the rule is enough.
func keeps(t *catalog.Table, p *shardrule.Placement, rule *catalog.Table, key []string, ready bool) bool {
	if p.Kind != shardrule.Sharded || len(p.Shards) == 1 {
		return true
	}
	if p.Together(func(column string) bool { return whole(t, key, column) }) && (p.Follows() != nil || p.GroupsWhole()) {
		return true
	}
	if rule == nil {
		return false
	}
	same := func(columns []string) bool { return equalFold(columns, key) }
	if ready {
		return slices.ContainsFunc(rule.Uniques, func(u catalog.Unique) bool { return u.Ready && same(u.Columns) })
	}
	return slices.ContainsFunc(rule.WantsUnique, same)
}

// whole: the key has all of the column.
func whole(t *catalog.Table, key []string, column string) bool {
	if !slices.ContainsFunc(key, func(k string) bool { return strings.EqualFold(k, column) }) {
		return false
	}
	return !slices.ContainsFunc(t.Indexes, func(x catalog.Index) bool {
		return slices.EqualFunc(x, key, func(c catalog.IndexColumn, k string) bool { return c.Name == k }) &&
			slices.ContainsFunc(x, func(c catalog.IndexColumn) bool { return strings.EqualFold(c.Name, column) && c.Prefix > 0 })
	})
}

// equalFold: the same columns, in whatever order.
func equalFold(a, b []string) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(x string) bool {
		return !slices.ContainsFunc(b, func(y string) bool { return strings.EqualFold(x, y) })
	})
}

// splits: every new table gets rows of one old one only.
func (t *Table) splits() bool { return len(t.Sources) == 1 || shardrule.Splits(t.From, t.To) }
