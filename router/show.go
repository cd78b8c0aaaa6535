package router

import (
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

// metaSchema is where Serval keeps its own tables on the servers.
const metaSchema = "serval_meta"

// show plans SHOW for the logical schema.
func show(p *planning) (*plan.Plan, error) {
	n, ok := p.st.Node.(*ast.ShowStmt)
	if !ok {
		return nil, nil
	}
	switch n.Tp {
	case ast.ShowTables:
		return p.showTables(n)
	case ast.ShowDatabases:
		return p.showDatabases(n)
	case ast.ShowTableStatus:
		return p.showStatus(n)
	case ast.ShowTriggers, ast.ShowEvents, ast.ShowCreateDatabase:
		return p.showAt(p.fold(orName(n.DBName, p.db)))
	case ast.ShowOpenTables:
		from := ""
		if db := p.fold(n.DBName); db != "" {
			from = " FROM " + sqlval.QuoteName(db)
		}
		return p.showWithout(n, "SHOW OPEN TABLES"+from, "Database", "Table", true)
	case ast.ShowProcedureStatus:
		return p.showWithout(n, "SHOW PROCEDURE STATUS", "Db", "Name", false)
	case ast.ShowFunctionStatus:
		return p.showWithout(n, "SHOW FUNCTION STATUS", "Db", "Name", false)
	case ast.ShowColumns, ast.ShowIndex:
		if schema := orName(n.DBName, n.Table.Schema.O); schema != "" {
			return p.showOf(n, schema)
		}
	}
	tables := p.spread()
	if len(tables) == 0 {
		return nil, nil
	}
	switch n.Tp {
	case ast.ShowCreateTable:
		return p.told(tables[0], &plan.Told{Name: 0, Sum: -1, Definition: 1}, tables[0].AutoIncrement != "", nil)
	case ast.ShowIndex:
		return p.told(tables[0], indexNode(), true, nil)
	case ast.ShowColumns, ast.ShowCreateView: // the latter is told that it is a table
		return p.first(tables[0].Placement)
	}
	return nil, sqlerr.Refuse("this SHOW", "it is not supported on "+kindWord(tables[0])+" table "+tables[0].Name, "")
}

func (p *planning) fold(name string) string {
	if p.cat.FoldNames {
		return lower(name)
	}
	return name
}

// indexNode puts together the shards' SHOW INDEX: Table, Non_unique, Key_name,
// Seq_in_index, Column_name, Collation, Cardinality, …
func indexNode() *plan.Told { return &plan.Told{Name: 0, Sum: 6, Same: []int{2, 3}, Definition: -1} }

// told asks the first shard or all of them, in the client's words or in SQL.
func (p *planning) told(t *catalog.Table, n *plan.Told, all bool, sql plan.Template) (*plan.Plan, error) {
	pl := t.Placement
	choice := plan.Choice{Kind: plan.ChooseFirst, Placement: pl}
	if all && pl.Kind == shardrule.Sharded {
		choice.Kind = plan.ChooseByKey
	}
	r, err := &plan.Route{Choice: choice, Tables: []plan.TableRef{{Placement: pl}}, SQL: compact(sql)}, error(nil)
	if sql == nil {
		r, err = p.route(choice, nil)
	}
	if err != nil {
		return nil, err
	}
	r.Target, r.Together = topology.TargetPrimary, true
	if len(pl.Shards) == 0 {
		return nil, sqlerr.New(sqlerr.NoPartitionForValue, "table %s has no shards", t.Name)
	}
	n.Input, n.Physical, n.Logical = r, pl.Shards[0].Table, t.Name
	return &plan.Plan{Root: n, ReadOnly: true, Why: "as the shards tell"}, nil
}

// showAt passes SHOW on to the home of the database.
func (p *planning) showAt(db string) (*plan.Plan, error) {
	pl, err := p.planHome()
	if err == nil && p.st.Hints.Cluster == "" {
		pl.Root.(*plan.Route).Choice.Shard.Cluster = p.cat.HomeOf(db)
	}
	return pl, err
}

// showOf is SHOW COLUMNS and INDEX of a table of a named schema, which may
// stand behind a second FROM; where the table has a rule the statement is
// written anew.
func (p *planning) showOf(n *ast.ShowStmt, schema string) (*plan.Plan, error) {
	name := parser.TableName{Schema: schema, Table: n.Table.Name.O}
	e := p.lookup(name)
	if e == nil || e.Placement == nil {
		folded, _ := p.names(name)
		return p.showAt(folded)
	}
	what, label := "COLUMNS", "Field"
	if n.Tp == ast.ShowIndex {
		what, label = "INDEX", "Key_name"
	}
	where, err := p.showFilter(n, label)
	if err != nil {
		return nil, err
	}
	if n.Pattern != nil {
		where[0].Text = " LIKE "
	}
	sql := append(text("SHOW "+pick(n.Extended, "EXTENDED ", "")+pick(n.Full, "FULL ", "")+what+" FROM "), plan.Chunk{Kind: plan.ChunkTable})
	if n.Column != nil {
		where = text(" LIKE " + quoteText(n.Column.Name.O))
	}
	if n.Tp == ast.ShowIndex {
		return p.told(e, indexNode(), true, append(sql, where...))
	}
	return p.firstShard(e.Placement, append(sql, where...)), nil
}

// firstShard sends SQL of Serval's own over one table to its first shard.
func (p *planning) firstShard(pl *shardrule.Placement, sql plan.Template) *plan.Plan {
	return &plan.Plan{ReadOnly: true, Why: "the same on all shards", Root: &plan.Route{
		Choice: plan.Choice{Kind: plan.ChooseFirst, Placement: pl}, Tables: []plan.TableRef{{Placement: pl}}, SQL: compact(sql),
	}}
}

// first asks the first shard, for what is the same on all.
func (p *planning) first(pl *shardrule.Placement) (*plan.Plan, error) {
	r, err := p.route(plan.Choice{Kind: plan.ChooseFirst, Placement: pl}, nil)
	if err != nil {
		return nil, err
	}
	r.Target = topology.TargetPrimary
	return &plan.Plan{Root: r, ReadOnly: true, Why: "the same on all shards"}, nil
}

// explain plans EXPLAIN and DESCRIBE: on the statement's shard, or the first.
func explain(p *planning) (*plan.Plan, error) {
	n, ok := p.st.Node.(*ast.ExplainStmt)
	tables := p.spread()
	if !ok || len(tables) == 0 {
		return nil, nil
	}
	if _, ok := n.Stmt.(*ast.ShowStmt); ok {
		return p.first(tables[0].Placement)
	}
	if n.Analyze {
		return nil, sqlerr.Refuse("EXPLAIN ANALYZE over sharded tables", "it would run on one shard only", "use EXPLAIN, or EXPLAIN FORMAT='route'")
	}
	choice := plan.Choice{Kind: plan.ChooseFirst, Placement: tables[0].Placement}
	for _, t := range tables {
		if t.Placement.Kind == shardrule.Sharded {
			choice.Placement = t.Placement
		}
	}
	if s, ok := n.Stmt.(*ast.SelectStmt); ok {
		p.sel = s
	}
	if p.hasSharded() {
		if l, err := p.locate(); err == nil && l.one {
			choice = l.choice
		}
	} else {
		var err error
		if choice, _, err = p.globalChoice(); err != nil {
			return nil, err
		}
	}
	r, err := p.route(choice, nil)
	if err != nil {
		return nil, err
	}
	r.Target = topology.TargetPrimary
	return &plan.Plan{Root: r, ReadOnly: true, Why: "as on one shard"}, nil
}

// showTables lists the schema's tables as the application knows them: those of
// the home, without what is only a shard, and those with a rule that exist.
func (p *planning) showTables(n *ast.ShowStmt) (*plan.Plan, error) {
	db := n.DBName
	if p.cat.FoldNames {
		db = lower(db)
	}
	db = orName(db, p.db)
	schema, views := p.cat.Schemas[db], p.cat.ViewsOf(db)
	var hide, show []string
	for _, t := range p.cat.Beside.Tables[p.cat.HomeOf(db)] {
		if t.Database == db {
			hide = append(hide, t.Table)
		}
	}
	if (schema == nil || !hasSpread(schema)) && len(views) == 0 && len(hide) == 0 {
		return nil, nil
	}
	if schema != nil {
		hidden, shown := logicalTables(schema)
		hide, show = append(hide, hidden...), shown
	}
	column := "Tables_in_" + db
	inner := "SELECT TABLE_NAME AS " + sqlval.QuoteName(column) + ", TABLE_TYPE AS `Table_type` FROM information_schema.TABLES WHERE TABLE_SCHEMA = " +
		quoteText(db)
	if len(hide) > 0 {
		inner += " AND TABLE_NAME NOT IN (" + quoteList(hide) + ")"
	}
	for _, t := range show {
		inner += " UNION SELECT " + quoteText(t) + ", 'BASE TABLE'"
	}
	for _, v := range views {
		inner += " UNION SELECT " + quoteText(v.Name) + ", 'VIEW'"
	}
	columns := sqlval.QuoteName(column)
	if label := p.likeLabel(n); label != "" {
		columns += " AS " + sqlval.QuoteName(column+" ("+label+")")
	}
	if n.Full {
		columns += ", `Table_type`"
	}
	where, err := p.showFilter(n, column)
	if err != nil {
		return nil, err
	}
	t := append(append(text("SELECT "+columns+" FROM ("+inner+") AS t"), where...), text(" ORDER BY CAST("+sqlval.QuoteName(column)+" AS BINARY)")...)
	return p.homeQuery(compact(t), p.cat.HomeOf(db)), nil
}

// likeLabel is what MySQL adds to the column's name where SHOW has a LIKE.
func (p *planning) likeLabel(n *ast.ShowStmt) string {
	if n.Pattern == nil {
		return ""
	}
	if op, ok := p.st.Operand(n.Pattern.Pattern); ok && op.Value < 0 {
		return string(op.Const.Text)
	}
	return ""
}

func (p *planning) homeQuery(sql plan.Template, cluster string) *plan.Plan {
	return &plan.Plan{ReadOnly: true, Why: "logical names", Root: &plan.Route{
		Choice: plan.Choice{Kind: plan.ChooseOne, Shard: topology.Shard{Index: -1, Cluster: cluster}}, SQL: sql,
	}}
}

// showFilter is SHOW's LIKE or WHERE.
func (p *planning) showFilter(n *ast.ShowStmt, column string) (plan.Template, error) {
	switch {
	case n.Pattern != nil:
		sql, ok := exprSQL(p.st, n.Pattern.Pattern)
		if !ok {
			return nil, sqlerr.Refuse("this SHOW", "its pattern cannot be repeated", "use information_schema")
		}
		return append(text(" WHERE "+sqlval.QuoteName(column)+" LIKE "), sql...), nil
	case n.Where != nil:
		sql, ok := exprSQL(p.st, n.Where)
		if !ok {
			return nil, sqlerr.Refuse("this SHOW", "its condition cannot be repeated", "use information_schema")
		}
		return append(text(" WHERE "), sql...), nil
	}
	return nil, nil
}

// logicalTables are the physical names to hide in the home's database and the
// tables to show that are not there.
func logicalTables(s *catalog.Schema) (hide, show []string) {
	for _, t := range sortedTables(s) {
		if t.Placement == nil {
			continue
		}
		for _, sh := range t.Placement.Shards {
			if sh.Table != t.Name && sh.Database == s.Name {
				hide = append(hide, sh.Table)
			}
		}
		if len(t.Columns) > 0 && t.LookupOf == "" {
			show = append(show, t.Name)
		}
	}
	return hide, show
}

func quoteList(names []string) string {
	var q []string
	for _, n := range names {
		q = append(q, quoteText(n))
	}
	return strings.Join(q, ", ")
}

// showDatabases lists the home's databases without the shards' own, and the
// schemas that have tables elsewhere.
func (p *planning) showDatabases(n *ast.ShowStmt) (*plan.Plan, error) {
	v := p.logicalView()
	var shown []string
	for _, name := range sortedSchemas(p.cat) {
		for _, t := range p.cat.Schemas[name].Tables {
			if len(t.Columns) > 0 && t.LookupOf == "" && v.sees(name) {
				shown = append(shown, name)
				break
			}
		}
	}
	inner := "SELECT SCHEMA_NAME AS `Database` FROM information_schema.SCHEMATA WHERE " + v.plain(p.cat.Home, &infoTable{schema: "SCHEMA_NAME"})
	for _, s := range shown {
		inner += " UNION SELECT " + quoteText(s)
	}
	where, err := p.showFilter(n, "Database")
	if err != nil {
		return nil, err
	}
	column := "`Database`"
	if label := p.likeLabel(n); label != "" {
		column += " AS " + sqlval.QuoteName("Database ("+label+")")
	}
	t := append(append(text("SELECT "+column+" FROM ("+inner+") AS t"), where...), text(" ORDER BY CAST(`Database` AS BINARY)")...)
	return p.homeQuery(compact(t), p.cat.Home), nil
}
