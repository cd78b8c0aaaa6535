package router

import (
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// renames are the old and the new names, in turn, of RENAME TABLE and of an ALTER
// TABLE that does nothing else; nil for other statements.
func renames(n ast.StmtNode) (out []parser.TableName) {
	add := func(t *ast.TableName) { out = append(out, parser.TableName{Schema: t.Schema.O, Table: t.Name.O}) }
	switch n := n.(type) {
	case *ast.RenameTableStmt:
		for _, t := range n.TableToTables {
			add(t.OldTable)
			add(t.NewTable)
		}
	case *ast.AlterTableStmt:
		if len(n.Specs) == 1 && n.Specs[0].Tp == ast.AlterTableRenameTable {
			add(n.Table)
			add(n.Specs[0].NewTable)
		}
	}
	return out
}

// rename gives tables other names on every shard, if there is a rule for each new
// name that has the rows where they are.
func (p *planning) rename(t *catalog.Table, names []parser.TableName) (*plan.Plan, error) {
	var places []*shardrule.Placement
	for i := 0; i < len(names); i += 2 {
		from, to, err := p.renamed(names[i], names[i+1])
		if err != nil {
			return nil, err
		}
		places = append(places, from, to)
	}
	for _, q := range places[1:] {
		if !sameLayout(places[0], q) {
			return nil, sqlerr.Refuse("renaming tables of different rules", places[0].Table+" and "+q.Table+" have their shards in different places", "rename one table at a time")
		}
	}
	r, err := p.route(everywhere(places[0]), nil)
	if err != nil {
		return nil, err
	}
	r.Target = topology.TargetPrimary
	if len(r.Tables) != len(places) {
		return nil, refuseDDL("renaming", t, "its names cannot be found in the statement", "write it more simply")
	}
	j := p.job(p.lookup(names[0]), r)
	j.Verb = "rename"
	for i := 0; i < len(places); i += 2 {
		j.Renames = append(j.Renames, plan.Renaming{From: places[i], To: places[i+1], Numbered: p.numbered(names[i])})
	}
	pl := &plan.Plan{Root: j, Why: "every shard of " + t.Name, Describe: r}
	pl.Effects.Schema = p.tableNames()
	return pl, nil
}

// numbered: Serval numbers the table's rows, by a sequence that has its name.
func (p *planning) numbered(t parser.TableName) bool {
	e := p.lookup(t)
	return e != nil && e.AutoIncrement != "" && !e.Snowflake
}

// renamed are the rules of an old and a new name.
func (p *planning) renamed(old, name parser.TableName) (from, to *shardrule.Placement, err error) {
	e, n := p.lookup(old), p.lookup(name)
	oldSchema, oldTable := p.names(old)
	schema, table := p.names(name)
	switch {
	case e == nil || e.Placement == nil:
		return nil, nil, sqlerr.Refuse("renaming "+oldTable+" to "+table, "one has a rule and the other has none, so the rows would not be where they are looked for",
			"create "+table+" and INSERT … SELECT")
	case len(e.WantsUnique)+len(e.LookupKey) > 0 || n != nil && len(n.WantsUnique)+len(n.LookupKey) > 0:
		return nil, nil, refuseDDL("renaming", e, "the lookup tables of its unique keys go by the old name", "create "+table+" and INSERT … SELECT")
	case oldSchema != schema:
		return nil, nil, refuseDDL("renaming", e, "the new name is in another database", "create it there and INSERT … SELECT")
	case n == nil || n.Placement == nil || !sameLayout(e.Placement, n.Placement):
		return nil, nil, refuseDDL("renaming", e, "no rule of the same kind, with its shards in the same places, has the name "+table,
			"first write the line of "+oldTable+" once more under schemas: "+schema+": tables: with the name "+table+" and reload the configuration, then rename, and take the line of "+oldTable+" out last")
	}
	return e.Placement, n.Placement, nil
}

// sameLayout: each shard of p has the place of q's shard but for the table's
// name, and a row has the same shard by both.
func sameLayout(p, q *shardrule.Placement) bool {
	if p.Kind != q.Kind || len(p.Shards) != len(q.Shards) || p.Kind == shardrule.Sharded && (p.Algorithm.Spec() != q.Algorithm.Spec() || !slices.EqualFunc(p.Keys(), q.Keys(), foldEqual)) {
		return false
	}
	for i, a := range p.Shards {
		b := q.Shards[i]
		if a.Cluster != b.Cluster || a.Database != b.Database || strings.TrimPrefix(a.Table, p.Table) != strings.TrimPrefix(b.Table, q.Table) {
			return false
		}
	}
	return true
}
