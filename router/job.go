package router

import (
	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/router/plan"
)

// job is the statement on every shard, as something to be written down first.
func (p *planning) job(t *catalog.Table, r *plan.Route) *plan.Job {
	j := &plan.Job{Table: plan.TableName{Schema: t.Placement.Schema, Table: t.Name}, Home: p.cat.HomeOf(t.Placement.Schema), Verb: "change", Route: r}
	switch n := p.st.Node.(type) {
	case *ast.CreateTableStmt:
		j.Verb, j.Lenient, j.Before = "create", n.IfNotExists, createDatabases(t.Placement)
	case *ast.DropTableStmt:
		j.Verb, j.Lenient = "drop", n.IfExists
	case *ast.TruncateTableStmt:
		j.Verb = "empty"
	case *ast.AlterTableStmt:
		for _, s := range n.Specs {
			if s.Tp == ast.AlterTableTruncatePartition {
				j.Verb = "empty"
			}
		}
	}
	return j
}
