package router

import (
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// home plans statements all whose tables stand whole on one cluster, and those
// without tables.
func home(p *planning) (*plan.Plan, error) {
	if len(p.spread()) > 0 {
		return nil, nil
	}
	return p.planHome()
}

// wholeCluster is the cluster of the statement's whole tables, empty if it has
// none. Two clusters are refused.
func (p *planning) wholeCluster() (cluster, table string, err error) {
	for _, t := range p.st.Tables {
		at, whole := p.clusterOf(t)
		if !whole || at == cluster {
			continue
		}
		if cluster != "" {
			return "", "", sqlerr.Refuse("a statement over tables of different clusters",
				table+" is on "+cluster+" and "+t.Table+" is on "+at, "query them one after the other")
		}
		cluster, table = at, t.Table
	}
	return cluster, table, nil
}

// clusterOf is where a whole table stands; false for others and for the
// servers' own schemas, which are everywhere.
func (p *planning) clusterOf(t parser.TableName) (string, bool) {
	schema, _ := p.names(t)
	if e := p.lookup(t); e != nil && e.Placement != nil {
		if e.Placement.Kind != shardrule.Whole {
			return "", false
		}
		return e.Placement.Shards[0].Cluster, true
	}
	switch strings.ToLower(schema) {
	case "information_schema", "performance_schema", "mysql", "sys":
		return "", false
	}
	return p.cat.HomeOf(schema), true
}

// planHome sends the text as it is to one cluster.
func (p *planning) planHome() (*plan.Plan, error) {
	cluster, table, err := p.wholeCluster()
	if err != nil {
		return nil, err
	}
	why := "table " + table + " is whole on " + cluster
	if cluster == "" {
		cluster, why = p.cat.HomeOf(p.db), "no table with a rule"
	}
	if h := p.st.Hints.Cluster; h != "" {
		cluster, why = h, "hint"
	}
	r := &plan.Route{
		Choice: plan.Choice{Kind: plan.ChooseOne, Shard: topology.Shard{Index: -1, Cluster: cluster}},
		Target: p.homeTarget(),
	}
	tables, refs, err := p.renamedTables()
	if err != nil {
		return nil, err
	}
	if len(tables) == 0 {
		if tables, err = p.information(cluster); err != nil {
			return nil, err
		}
	}
	r.Tables = refs
	r.SQL = splice(p.st, p.within, tables)
	var root plan.Node = r
	if p.st.Folded {
		if root, err = p.unfolded(cluster, tables, refs); err != nil {
			return nil, err
		}
	}
	pl := &plan.Plan{Root: root, ReadOnly: p.readOnly(), NeedsDB: p.needsDB(cluster), Why: why}
	pl.Effects = p.numbersOfHome()
	pl.Effects.Numbers = pl.Effects.Numbers || p.returns() && p.st.Kind == parser.KindInsert
	if p.facts.NamedLock {
		pl.Effects.Pins = plan.PinNamedLock
	}
	if p.st.Kind == parser.KindDDL {
		pl.Effects.Schema = p.changedTables()
	}
	return pl, nil
}

// unfolded is an INSERT into a whole table whose text stands for as many rows
// as the execution has: they all go to the one place.
func (p *planning) unfolded(cluster string, tables []edit, refs []plan.TableRef) (plan.Node, error) {
	sp, err := p.spans()
	if err != nil {
		return nil, err
	}
	if sp.Insert == nil || len(sp.Insert.Rows) == 0 || len(refs) > 1 {
		return nil, sqlerr.Refuse("this INSERT", "its rows cannot be told apart", "write it more simply")
	}
	to := plan.TableRef{Placement: &shardrule.Placement{Kind: shardrule.Whole, Shards: []topology.Shard{{Cluster: cluster}}}}
	if len(refs) == 1 {
		to = refs[0]
	}
	rows := edit{span: sp.Insert.Values, with: plan.Template{{Kind: plan.ChunkRows}}}
	return &plan.Insert{
		Table:  to,
		Rows:   []plan.Row{{SQL: splice(p.st, sp.Insert.Rows[0].Span, nil), Number: absent}},
		Repeat: p.repeat(),
		SQL:    splice(p.st, p.within, append(tables, rows)),
	}, nil
}

// repeat is where the folded tuples' values stand.
func (p *planning) repeat() *plan.Repeat {
	return &plan.Repeat{First: p.st.FirstRow, Width: p.st.RowWidth, Other: len(p.st.Markers) - p.st.RowWidth}
}

// homeTarget: without tables, a server variable is asked of the primary, for a
// replica's read_only or server_id would mislead.
func (p *planning) homeTarget() topology.Target {
	if len(p.st.Tables) == 0 && p.st.Hints.Target != "replica" &&
		(len(p.facts.SystemVars) > 0 || p.facts.LastInsertID || p.st.Kind != parser.KindSelect) {
		return topology.TargetPrimary
	}
	if p.st.Kind == parser.KindShow {
		return topology.TargetPrimary
	}
	return p.target()
}

// needsDB: on the database's own cluster the connection always follows it; on
// another one only where a name leaves the database to it, for it may not
// exist there.
func (p *planning) needsDB(cluster string) bool {
	if p.db == "" {
		return false
	}
	if cluster == p.cat.HomeOf(p.db) {
		return true
	}
	for _, t := range p.st.Tables {
		if t.Schema == "" {
			return true
		}
	}
	return false
}

// renamedTables are the edits for whole tables whose physical name is not the
// logical one.
func (p *planning) renamedTables() ([]edit, []plan.TableRef, error) {
	for _, t := range p.st.Tables {
		e := p.lookup(t)
		if e == nil || e.Placement == nil || e.Placement.Kind != shardrule.Whole {
			continue
		}
		if s := e.Placement.Shards[0]; s.Database != e.Placement.Schema || s.Table != e.Placement.Table {
			return p.tableEdits(p.within)
		}
	}
	return nil, nil, nil
}

// changedTables are the tables a definition changes. Without a tree only those
// the catalog knows are certain to be tables, and what CREATE … TABLE has
// before its parenthesis.
func (p *planning) changedTables() []plan.TableName {
	if p.st.Node != nil {
		return p.tableNames()
	}
	head, _, _ := strings.Cut(p.st.Text, "(")
	words := strings.Fields(strings.ReplaceAll(head, "`", ""))
	created := ""
	if len(words) > 2 && strings.EqualFold(words[0], "CREATE") && containsFold(words[:len(words)-1], "TABLE") {
		created = words[len(words)-1]
	}
	var out []plan.TableName
	for _, t := range p.tableNames() {
		if p.cat.Table(t.Schema, t.Table) != nil || p.cat.PlainTable(t.Schema, t.Table) != nil || t.Table == created || t.Schema+"."+t.Table == created {
			out = append(out, t)
		}
	}
	return out
}

func (p *planning) tableNames() []plan.TableName {
	var out []plan.TableName
	for _, t := range p.st.Tables {
		schema, table := p.names(t)
		out = append(out, plan.TableName{Schema: schema, Table: table})
	}
	return out
}

// readGlobal plans reads of global tables, alone or with whole ones.
func readGlobal(p *planning) (*plan.Plan, error) {
	if p.st.Kind != parser.KindSelect || p.hasSharded() {
		return nil, nil
	}
	choice, why, err := p.globalChoice()
	if err != nil {
		return nil, err
	}
	r, err := p.route(choice, nil)
	if err != nil {
		return nil, err
	}
	return &plan.Plan{Root: r, ReadOnly: p.readOnly(), NeedsDB: choice.Kind == plan.ChooseOne && p.needsDB(choice.Shard.Cluster),
		Why: why}, nil
}

// globalChoice is a cluster that has a copy of every global table and all
// whole tables.
func (p *planning) globalChoice() (plan.Choice, string, error) {
	cluster, table, err := p.wholeCluster()
	if err != nil {
		return plan.Choice{}, "", err
	}
	if h := p.st.Hints.Cluster; h != "" && cluster == "" {
		cluster, table = h, "the hint's cluster"
	}
	var fewest *shardrule.Placement
	for _, e := range p.spread() {
		if fewest == nil || len(e.Placement.Shards) < len(fewest.Shards) {
			fewest = e.Placement
		}
	}
	if cluster == "" && p.allHave(fewest.Shards) {
		if p.facts.Locking {
			return plan.Choice{Kind: plan.ChooseFirst, Placement: fewest}, "all lock the first copy of " + fewest.Table, nil
		}
		return plan.Choice{Kind: plan.ChooseAny, Placement: fewest}, "any copy of " + fewest.Table, nil
	}
	if p.facts.Locking {
		return plan.Choice{}, "", sqlerr.Refuse("a locking read of a global table beside others",
			"everybody must lock the same copy of "+fewest.Table+", the first", "lock it in a statement of its own")
	}
	for _, s := range fewest.Shards {
		if (cluster == "" || s.Cluster == cluster) && p.allHave([]topology.Shard{s}) {
			return plan.Choice{Kind: plan.ChooseOne, Shard: topology.Shard{Index: -1, Cluster: s.Cluster}},
				"the copies on " + s.Cluster, nil
		}
	}
	return plan.Choice{}, "", sqlerr.Refuse("a statement over tables of different clusters",
		"no cluster has a copy of all of them"+pick(table != "", ", with "+table+" on "+cluster, ""), "query them one after the other")
}

// allHave: every global table has a copy on each of the shards' clusters.
func (p *planning) allHave(shards []topology.Shard) bool {
	for _, e := range p.spread() {
		for _, s := range shards {
			if e.Placement.Kind != shardrule.Global {
				continue
			}
			if _, ok := e.Placement.OnCluster(s.Cluster); !ok {
				return false
			}
		}
	}
	return true
}

func pick(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}
