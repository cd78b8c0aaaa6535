package router

import (
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// information makes information_schema answer for the logical schemas. Where one
// cluster can tell all that the query asks for, each of its tables becomes a
// derived table there (see logical); else the query is finished over what the
// clusters tell.
func information(p *planning) (*plan.Plan, error) {
	switch p.st.Node.(type) {
	case *ast.SelectStmt, *ast.SetOprStmt:
	default:
		return p.changeByInformation()
	}
	needed, err := p.informed()
	if err != nil || needed == nil {
		return nil, err
	}
	if p.st.Hints.Cluster != "" {
		return nil, nil // what that cluster tells
	}
	if cluster, ok := p.tellsAll(needed); ok {
		return p.informationRoute(cluster)
	}
	q := newPlanning(p.cat, p.db, p.st, false)
	q.visible = p.visible
	if n := q.finisher(); n != nil {
		return p.finishPlan(n, "logical names, of several clusters"), nil
	}
	if q.cannot != nil {
		return nil, q.cannot
	}
	return nil, sqlerr.Refuse("this query of information_schema", "its tables are on several clusters and it cannot be finished on one server",
		"write it more simply, without locks and user variables")
}

// changeByInformation refuses a change of sharded tables by what each shard would
// be told of itself.
func (p *planning) changeByInformation() (*plan.Plan, error) {
	if p.st.Kind != parser.KindUpdate && p.st.Kind != parser.KindDelete && p.st.Kind != parser.KindInsert || len(p.spread()) == 0 {
		return nil, nil
	}
	for _, r := range p.sc.refs {
		if t := p.informationTable(r.schema, r.table); t != nil && t.schema != "" {
			return nil, sqlerr.Refuse("a change of sharded tables with a query of information_schema", "each shard would be told of itself", "query it first")
		}
	}
	return nil, nil
}

// informed are the clusters that the statement's tables of information_schema
// are told of by; nil where it reads none.
func (p *planning) informed() ([]string, error) {
	var out []string
	var v *logical // the whole catalog is walked for it
	for _, r := range p.sc.refs {
		t := p.informationTable(r.schema, r.table)
		switch {
		case t == nil:
			continue
		case t.physical() && p.visible != nil:
			return nil, sqlerr.Refuse("information_schema."+t.name, "it tells of everybody's tables and statements by their physical names", "")
		case t.name == "PROCESSLIST":
			return nil, sqlerr.Refuse("information_schema.PROCESSLIST", "a server's connections are Serval's own, shared by its sessions", "use SHOW PROCESSLIST")
		case t.schema == "":
			if out == nil {
				out = []string{}
			}
			continue
		}
		if v == nil {
			v = p.logicalView()
		}
		for _, c := range v.needed(t, t.summed(p.neededColumns(t.entry))) {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out, nil
}

// tellsAll: one cluster tells all that is needed and has the other tables.
func (p *planning) tellsAll(needed []string) (string, bool) {
	whole, _, err := p.wholeCluster()
	switch {
	case err != nil || len(p.spread()) > 0 || len(needed) > 1:
		return "", false
	case len(needed) == 1:
		return needed[0], whole == "" || whole == needed[0]
	}
	return orName(whole, p.cat.Home), true
}

// informationRoute sends the query to the one cluster.
func (p *planning) informationRoute(cluster string) (*plan.Plan, error) {
	edits, refs, err := p.renamedTables()
	if err != nil {
		return nil, err
	}
	told, err := p.toldEdits(cluster)
	if err != nil {
		return nil, err
	}
	return &plan.Plan{
		Root: &plan.Route{
			Choice: plan.Choice{Kind: plan.ChooseOne, Shard: topology.Shard{Index: -1, Cluster: cluster}},
			Target: p.homeTarget(), Tables: refs, SQL: splice(p.st, p.within, append(edits, told...)),
		},
		ReadOnly: p.readOnly(), NeedsDB: p.needsDB(cluster), Why: "logical names",
	}, nil
}

// toldEdits put what the cluster tells in the places of the tables of
// information_schema.
func (p *planning) toldEdits(cluster string) ([]edit, error) {
	sp, err := p.spans()
	if err != nil {
		return nil, err
	}
	v := p.logicalView()
	var edits []edit
	derived := map[int]bool{}
	for i, t := range sp.Tables {
		info := p.informationTable(p.schemaOf(t.Name.Schema), t.Name.Table)
		if info == nil || info.schema == "" {
			continue
		}
		sql := v.derived(cluster, info, p.neededColumns(info.entry))
		if t.Alias == "" {
			sql += " AS " + sqlval.QuoteName(t.Name.Table)
			derived[i] = true
		}
		edits = append(edits, edit{t.Span, text(sql)})
	}
	for _, q := range sp.Qualifiers {
		if derived[q.Table] && !q.Schema.Empty() {
			edits = append(edits, edit{q.Schema, nil})
		}
	}
	return append(edits, p.keepLabels(sp)...), nil
}

// derived is the table as the one cluster tells it, as a derived table without
// its name.
func (v *logical) derived(cluster string, info *infoTable, columns []*catalog.Column) string {
	if info.summed(columns) && len(v.on(cluster).adds) > 0 {
		all := info.withSums(columns)
		return info.view(info.total("("+v.query(cluster, info, all, true)+")", all), columns)
	}
	sql := v.query(cluster, info, columns, false)
	if len(v.views(cluster, info, columns)) > 0 {
		return info.view("("+sql+") AS l", columns)
	}
	if info.flavor == topology.FlavorMariaDB {
		sql += allRows // so that it names columns as the query does
	}
	return "(" + sql + ")"
}

func (p *planning) schemaOf(schema string) string { return orName(schema, p.db) }

// longestGiven is how long a label put in is at most, its values not counted; a
// server takes 256 characters.
const longestGiven = 200

// keepLabels gives columns of the answer whose text has a table in it the label
// they would have had.
func (p *planning) keepLabels(sp *parser.Spans) []edit {
	var edits []edit
	for _, arm := range sp.Arms {
		for _, item := range sp.Blocks[arm].Items {
			if item.Expr != item.Span || tablesIn(sp, item.Span) == 0 || item.End-item.Start > longestGiven {
				continue
			}
			label := text(" AS `")
			for _, piece := range p.st.Pieces(item.Start, item.End) {
				if piece.Value >= 0 {
					label = append(label, plan.Chunk{Kind: plan.ChunkWritten, Index: piece.Value})
				} else {
					label = append(label, plan.Chunk{Text: strings.ReplaceAll(piece.Text, "`", "``")})
				}
			}
			edits = append(edits, insertAt(item.End, append(label, text("`")...)))
		}
	}
	return edits
}

// information is toldEdits for statements that are sent to one cluster for
// another reason; what they take must be all there is.
func (p *planning) information(cluster string) ([]edit, error) {
	asks := false
	for _, t := range p.st.Tables {
		info := p.informationTable(p.schemaOf(t.Schema), t.Table)
		asks = asks || info != nil && info.schema != ""
	}
	if !asks || len(p.sc.refs) == 0 {
		return nil, nil
	}
	needed, err := p.informed()
	if err != nil {
		return nil, err
	}
	if p.st.Kind != parser.KindExplain && p.st.Hints.Cluster == "" && (len(needed) > 1 || len(needed) == 1 && needed[0] != cluster) {
		return nil, sqlerr.Refuse("this statement with a query of information_schema", "its tables are told of by several clusters", "query them first")
	}
	return p.toldEdits(cluster)
}

// informationFragment is what is copied of a table of information_schema for
// the references to it.
func (p *planning) informationFragment(refs []*ref) *plan.Fragment {
	r := refs[0]
	info := p.informationTable(r.schema, r.table)
	if info == nil {
		return nil
	}
	return p.logicalView().fragment(info, p.neededColumns(info.entry), p.toldWhere(refs, info), r.alias, p.target())
}

// informationPlace is what stands in the query for the reference whose copy is
// fragment index.
func (p *planning) informationPlace(r *ref, index int) plan.Template {
	info := p.informationTable(r.schema, r.table)
	if info == nil {
		return nil
	}
	return info.place(p.neededColumns(info.entry), index)
}

// fragment copies the columns of the rows that where leaves, as all clusters
// together tell them.
func (v *logical) fragment(info *infoTable, columns []*catalog.Column, where plan.Template, alias string, target topology.Target) *plan.Fragment {
	clusters, sums := []string{v.cat.Home}, false
	if info.schema != "" {
		sums = info.summed(columns)
		clusters = v.needed(info, sums)
	}
	if sums {
		columns = info.withSums(columns)
	}
	f := &plan.Fragment{Table: plan.TableName{Schema: "information_schema", Table: info.name}}
	from := make(map[string]string, len(clusters))
	for _, c := range clusters {
		from[c] = "(" + v.query(c, info, columns, sums) + ") AS " + sqlval.QuoteName(alias)
	}
	list, ok := v.planning.carriedOf(f, columns, sums, alias)
	if !ok {
		return nil
	}
	sql := join(text("SELECT "+list+" FROM "), plan.Template{{Kind: plan.ChunkOfCluster}}, where, text(allRows))
	places := v.places(clusters)
	f.Route = &plan.Route{Choice: plan.Choice{Kind: plan.ChooseCopies, Placement: places}, Target: target,
		Tables: []plan.TableRef{{Placement: places}}, SQL: compact(sql), OfCluster: from, Columns: len(f.Columns)}
	return f
}

// place is the copy, or a derived table with it, without a name.
func (t *infoTable) place(columns []*catalog.Column, index int) plan.Template {
	around := mark
	switch {
	case t.summed(columns):
		around = t.view(t.total(mark, t.withSums(columns)), columns)
	case t.flavor != topology.FlavorMariaDB:
		around = t.view(mark, columns)
	}
	before, after, _ := strings.Cut(around, mark)
	return compact(plan.Template{{Text: before}, {Kind: plan.ChunkScratch, Index: index}, {Text: after}})
}

// mark stands for the temporary table in a text that is made around it.
const mark = "\x00"

// carriedOf adds the columns to the fragment and is the list that selects them.
func (p *planning) carriedOf(f *plan.Fragment, columns []*catalog.Column, sums bool, alias string) (list string, ok bool) {
	if sums {
		speaks := catalog.Column{DataType: "tinyint"}
		speaks.Name, speaks.SQLType = speaksColumn, "tinyint"
		columns = append(slices.Clone(columns), &speaks)
	}
	for _, c := range columns {
		def, expr, carry, ok := p.carried(c, alias)
		if !ok {
			return "", false
		}
		if carry == plan.CarryEnum { // of a view it is text
			expr, carry = "CAST("+sqlval.QuoteName(alias)+"."+sqlval.QuoteName(c.Name)+" AS BINARY)", plan.CarryText
		}
		f.Columns = append(f.Columns, plan.FragmentColumn{Name: c.Name, Definition: def, Carry: carry})
		list += pick(list == "", "", ", ") + expr
	}
	return list, true
}

// toldWhere is the WHERE for the rows the references need, as far as no sum
// changes it.
func (p *planning) toldWhere(refs []*ref, info *infoTable) plan.Template {
	steady := &catalog.Table{Name: info.name}
	for _, c := range info.entry.Columns {
		if sums[info.name][c.Name] == "" {
			steady.Columns = append(steady.Columns, c)
		}
	}
	for _, r := range refs {
		r.entry = steady
		defer func() { r.entry = info.entry }()
	}
	where := p.sieve(refs, plan.TableRef{Alias: refs[0].alias}).where
	return where
}

// places are databases that exist on the clusters, where temporary tables can be:
// a shard's, else the session's own, else one that is likely to.
func (v *logical) places(clusters []string) *shardrule.Placement {
	p := &shardrule.Placement{Schema: "information_schema", Kind: shardrule.Global}
	for i, c := range clusters {
		s := topology.Shard{Index: i, Cluster: c, Database: "mysql"}
		t := v.on(c)
		all := append(slices.Clone(t.speaks), t.adds...)
		if k := slices.IndexFunc(all, func(t teller) bool { return t.known }); k >= 0 {
			s.Database = all[k].Database
		} else if v.cat.HomeOf(v.db) == c && v.cat.Schema(v.db) != nil {
			s.Database = v.db
		} else if homes := v.homes(c); len(homes) > 0 && !isInformation(homes[0]) {
			s.Database = homes[0]
		}
		p.Shards = append(p.Shards, s)
	}
	return p
}
