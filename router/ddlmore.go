package router

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

func joined(names []string) string { return strings.Join(names, ", ") }

// dropSeveral drops tables one after the other, if all of them exist.
func (p *planning) dropSeveral(n *ast.DropTableStmt) (*plan.Plan, error) {
	if p.st.Hints.Cluster != "" {
		return nil, sqlerr.Refuse("the hint cluster= on a definition over shards", "its tables are where their rules put them", "leave the hint out")
	}
	drop := "DROP TABLE " + pick(n.IfExists, "IF EXISTS ", "")
	root := &plan.Jobs{}
	var unknown []string
	for _, name := range p.st.Tables {
		schema, table := p.names(name)
		t := p.lookup(name)
		if schema == "" {
			return nil, sqlerr.New(sqlerr.NoDB, "No database selected")
		}
		known := t != nil && len(t.Columns) > 0 || (t == nil || t.Placement == nil) && p.cat.PlainTable(schema, table) != nil
		if !known {
			unknown = append(unknown, schema+"."+table)
		}
		if t == nil || t.Placement == nil || t.Placement.Kind == shardrule.Whole {
			at, real := p.cat.HomeOf(schema), sqlval.QuoteName(schema)+"."+sqlval.QuoteName(table)
			if t != nil && t.Placement != nil {
				at = t.Placement.Shards[0].Cluster
			}
			root.Steps = append(root.Steps, onCluster(at, drop+real))
			continue
		}
		r := &plan.Route{Choice: everywhere(t.Placement), Target: topology.TargetPrimary, Tables: []plan.TableRef{{Placement: t.Placement}},
			SQL: append(text(drop), plan.Chunk{Kind: plan.ChunkTable})}
		root.Steps = append(root.Steps, p.job(t, r))
		for _, x := range p.lookupTables(t) {
			root.Steps = append(root.Steps, p.dropLookup(x))
		}
	}
	if len(unknown) > 0 && !n.IfExists {
		const badTable = 1051 // ER_BAD_TABLE_ERROR
		e := sqlerr.New(badTable, "Unknown table '%s'", strings.Join(unknown, ","))
		e.State = "42S02"
		return nil, e
	}
	pl := &plan.Plan{Root: root, Why: "one table after the other"}
	pl.Effects.Schema = p.tableNames()
	return pl, nil
}

// createLike makes a table of another one's definition, which the session reads.
func (p *planning) createLike(n *ast.CreateTableStmt) (*plan.Plan, error) {
	to, from := p.st.Tables[0], p.st.Tables[1]
	source := p.lookup(from)
	schema, table := p.names(from)
	if schema == "" || p.db == "" && to.Schema == "" {
		return nil, sqlerr.New(sqlerr.NoDB, "No database selected")
	}
	at := atHome(p.cat.HomeOf(schema), parser.TableName{Schema: schema, Table: table})
	if source != nil && source.Placement != nil {
		if len(source.Columns) == 0 || len(source.Placement.Shards) == 0 {
			return nil, sqlerr.New(sqlerr.NoSuchTable, "Table '%s.%s' doesn't exist", schema, table)
		}
		at = source.Placement.Shards[0]
	}
	toSchema, toTable := p.names(to)
	root := &plan.CreateLike{Table: plan.TableName{Schema: toSchema, Table: toTable}, From: at, Source: plan.TableName{Schema: schema, Table: table}, IfNotExists: n.IfNotExists}
	return &plan.Plan{Root: root, Why: "as " + table + " is on its first shard", Effects: plan.Effects{Schema: []plan.TableName{root.Table}}}, nil
}
