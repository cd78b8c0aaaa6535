package router

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
)

// checkForeignKey refuses a foreign key that a shard cannot watch over by
// itself: the row it refers to must be on the same shard, which is so where both
// tables share their shards and refer to each other by the sharding columns.
func (p *planning) checkForeignKey(c *ast.Constraint, t *catalog.Table) error {
	const leave = "leave it out"
	refuse := func(why, instead string) error {
		return refuseDDL("the foreign key on "+orName(c.Name, "("+joined(partNames(c.Keys))+")")+" of", t, why, instead)
	}
	if c.Refer == nil || c.Refer.Table == nil {
		return refuse("it does not say what it refers to", leave)
	}
	name := parser.TableName{Schema: c.Refer.Table.Schema.O, Table: c.Refer.Table.Name.O}
	to := p.lookup(name)
	if followsBy(c, t) && to != nil && to.Placement == t.Placement.Follows().Parent && sameNames(t, to) {
		return nil
	}
	switch {
	case to == nil || to.Placement == nil:
		return refuse("table "+name.Table+", to which it refers, is not sharded: the row may be on another server", leave)
	case t.Placement.Kind != shardrule.Sharded || to.Placement.Kind != shardrule.Sharded:
		return refuse("one of the two tables is not sharded: the row may be on another server", leave)
	case !sharesShards(t.Placement, to.Placement):
		return refuse("table "+to.Name+", to which it refers, has other shards: the row may be on another one", "give both tables the same rule (like:), or leave it out")
	case !sameNames(t, to):
		return refuse("its shards do not stand in the databases of the other table's, or are not called alike", "give both tables the same layout, or leave it out")
	case shardrule.Periodic(t.Placement.Algorithm), t.Placement.Composite() && shardrule.Periodic(t.Placement.Parts[0].Algorithm):
		return refuse("tables of periods come and go, each at its own time", leave)
	}
	if own, theirs := partNames(c.Keys), partNames(c.Refer.IndexPartSpecifications); !refersByKeys(own, theirs, t.Placement, to.Placement) {
		return refuse("the row it refers to may be on another shard: "+t.Placement.KeyNames()+" does not refer to "+to.Name+"."+to.Placement.KeyNames(),
			"add the sharding columns to it at the same place on both sides, or leave it out")
	}
	if d := c.Refer.OnDelete; d != nil {
		switch d.ReferOpt {
		case ast.ReferOptionCascade, ast.ReferOptionSetNull, ast.ReferOptionSetDefault:
			return refuse("ON DELETE "+d.ReferOpt.String()+" would also change rows when a row only moves to another shard, which is a delete and an insert", "use ON DELETE RESTRICT")
		case ast.ReferOptionNoOption, ast.ReferOptionRestrict, ast.ReferOptionNoAction:
		}
	}
	return nil
}

// refersByKeys: the columns of a foreign key bring each part of the rule together,
// or one that may stand for it.
func refersByKeys(own, theirs []string, t, to *shardrule.Placement) bool {
	if !t.Composite() {
		return refersByKey(own, theirs, t.Column.Name, to.Column.Name)
	}
	return t.EachPart(func(i int) bool { return refersByKey(own, theirs, t.Parts[i].Column.Name, to.Parts[i].Column.Name) })
}

// sharesShards: equal keys are on the same shard. That both columns are of one
// type is asked by the server, which takes no foreign key otherwise.
func sharesShards(a, b *shardrule.Placement) bool {
	if len(a.Parts) != len(b.Parts) || len(a.Shards) != len(b.Shards) || a.Algorithm.Spec() != b.Algorithm.Spec() {
		return false
	}
	for i := range a.Shards {
		if a.Shards[i].Cluster != b.Shards[i].Cluster {
			return false
		}
	}
	return true
}

// sameNames: on all their shards both tables stand in one database, and have the
// same behind their names, so that SHOW CREATE TABLE can be told without it.
func sameNames(a, b *catalog.Table) bool {
	for i, s := range a.Placement.Shards {
		o := b.Placement.Shards[i]
		own, named := strings.CutPrefix(s.Table, a.Name)
		theirs, alike := strings.CutPrefix(o.Table, b.Name)
		if !named || !alike || own != theirs || s.Database != o.Database {
			return false
		}
	}
	return true
}

// refersByKey: one list has a where the other has b.
func refersByKey(as, bs []string, a, b string) bool {
	for i := range min(len(as), len(bs)) {
		if foldEqual(as[i], a) && foldEqual(bs[i], b) {
			return true
		}
	}
	return false
}

// constraintEdits give the names of CHECKs and FOREIGN KEYs what each shard's
// table has behind its name, where several shards are tables of one database: a
// server takes such a name once in a database.
func (p *planning) constraintEdits(t *catalog.Table) ([]edit, error) {
	if !crowded(t) {
		return nil, nil
	}
	names, err := p.st.Constraints()
	if err != nil {
		return nil, err
	}
	var edits []edit
	for _, n := range names {
		edits = append(edits, edit{n.Span, plan.Template{{Kind: plan.ChunkConstraint, Text: n.Name}}})
	}
	return edits, nil
}

// crowded: two of the table's shards stand in one database.
func crowded(t *catalog.Table) bool {
	databases := map[[2]string]bool{}
	for _, s := range t.Placement.Shards {
		at := [2]string{s.Cluster, s.Database}
		if databases[at] {
			return true
		}
		databases[at] = true
	}
	return false
}
