package router

import (
	"sort"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// viewsNamed plans what is done to logical views by name but not by reading
// them; nil, nil for what is the home server's to answer, which has none of
// them and says so.
func (p *planning) viewsNamed() (*plan.Plan, error) {
	if len(p.cat.Views) == 0 {
		return nil, nil
	}
	v := viewNames{p.cat, p.db}.first(p.st.Tables)
	switch n := p.st.Node.(type) {
	case *ast.ShowStmt:
		return p.showView(n)
	case *ast.ExplainStmt:
		if s, ok := n.Stmt.(*ast.ShowStmt); ok {
			return p.showView(s)
		}
		return nil, nil
	case *ast.DropDatabaseStmt:
		return p.dropWithViews(n)
	}
	if v == nil || readsTables(p.st) {
		return nil, nil
	}
	switch n := p.st.Node.(type) {
	case *ast.CreateTableStmt:
		return p.createOver(n, v)
	case *ast.DropTableStmt:
		if n.IsView {
			return p.dropViews(n)
		}
	case *ast.RenameTableStmt:
		return p.renameViews(n)
	case *ast.AlterTableStmt, *ast.CreateIndexStmt, *ast.DropIndexStmt:
		return nil, viewError(errWrongObject, "HY000", "'%s.%s' is not BASE TABLE", v.Schema, v.Name)
	}
	switch {
	case p.st.Kind == parser.KindLock:
		return nil, sqlerr.Refuse("LOCK TABLES of the view "+v.Name, "it is over sharded tables", "use a transaction with SELECT … FOR UPDATE")
	case p.st.Kind == parser.KindAdmin && strings.EqualFold(p.st.Verb, "CHECK") && len(p.st.Tables) == 2: // CHECK and the view
		return p.checkView(v)
	}
	return nil, nil
}

// dropWithViews drops the views of a database with it.
func (p *planning) dropWithViews(n *ast.DropDatabaseStmt) (*plan.Plan, error) {
	views := p.cat.ViewsOf(n.Name.O)
	if len(views) == 0 {
		return nil, nil
	}
	pl, err := databases(p)
	if pl == nil && err == nil {
		pl, err = p.planHome()
	}
	if err != nil {
		return nil, err
	}
	schema := views[0].Schema
	steps := []plan.Node{onCluster(p.cat.HomeOf(schema), "DELETE FROM serval_meta.views WHERE schema_name = "+quoteText(schema))}
	if seq, ok := pl.Root.(*plan.Sequence); ok {
		steps = append(steps, seq.Steps...)
	} else {
		steps = append(steps, pl.Root)
	}
	pl.Root = &plan.Sequence{Steps: steps}
	pl.Effects.Schema = append(pl.Effects.Schema, viewsTable)
	return pl, nil
}

// createOver is a CREATE TABLE that names a view.
func (p *planning) createOver(n *ast.CreateTableStmt, v *catalog.View) (*plan.Plan, error) {
	target := viewNames{p.cat, p.db}.find(parser.TableName{Schema: n.Table.Schema.O, Table: n.Table.Name.O})
	switch {
	case target == nil && n.Select != nil:
		return nil, nil // createFrom reads it
	case target == nil:
		return nil, sqlerr.Refuse("CREATE TABLE … LIKE of the view "+v.Name, "it is over sharded tables", "create the table, then insert")
	case n.IfNotExists:
		return p.nothing(p.cat.HomeOf(target.Schema)), nil
	}
	return nil, viewError(errTableExists, "42S01", "Table '%s' already exists", target.Name)
}

// dropViews drops logical views and, before them, those of the home, which
// knows best what is no view.
func (p *planning) dropViews(n *ast.DropTableStmt) (*plan.Plan, error) {
	var logical []*catalog.View
	var others []string
	pl := &plan.Plan{Why: "views over sharded tables"}
	home := ""
	for _, t := range n.Tables {
		name := parser.TableName{Schema: t.Schema.O, Table: t.Name.O}
		if v := (viewNames{p.cat, p.db}).find(name); v != nil {
			logical = append(logical, v)
			continue
		}
		schema, table := p.names(name)
		if at := p.cat.HomeOf(schema); home == "" || home == at {
			home = at
		} else {
			return nil, sqlerr.Refuse("DROP VIEW of views on different clusters", "each is dropped on its own", "drop them one after the other")
		}
		others = append(others, sqlval.QuoteName(schema)+"."+sqlval.QuoteName(table))
		pl.Effects.Schema = append(pl.Effects.Schema, plan.TableName{Schema: schema, Table: table})
	}
	var steps []plan.Node
	if len(others) > 0 {
		steps = append(steps, onCluster(home, "DROP VIEW "+pick(n.IfExists, "IF EXISTS ", "")+strings.Join(others, ", ")))
	}
	for _, v := range logical {
		home = p.cat.HomeOf(v.Schema)
		steps = append(steps, onCluster(home, "DELETE FROM serval_meta.views WHERE "+rowOf(v)))
	}
	last := onCluster(home, "DO 0")
	pl.Root, pl.Describe = &plan.Sequence{Steps: append(steps, last)}, last
	pl.Effects.Schema = append(pl.Effects.Schema, viewsTable)
	return pl, nil
}

func onCluster(cluster, sql string) *plan.Route {
	return &plan.Route{
		Choice: plan.Choice{Kind: plan.ChooseOne, Shard: topology.Shard{Index: -1, Cluster: cluster}}, Target: topology.TargetPrimary, SQL: text(sql),
	}
}

// rowOf is the condition of a view's row in serval_meta.views.
func rowOf(v *catalog.View) string {
	return "schema_name = " + quoteText(v.Schema) + " AND view_name = " + quoteText(v.Name)
}

func (p *planning) renameViews(n *ast.RenameTableStmt) (*plan.Plan, error) {
	names := viewNames{p.cat, p.db}
	var steps []plan.Node
	home := ""
	for _, t := range n.TableToTables {
		v := names.find(parser.TableName{Schema: t.OldTable.Schema.O, Table: t.OldTable.Name.O})
		to := parser.TableName{Schema: t.NewTable.Schema.O, Table: t.NewTable.Name.O}
		schema, name := p.names(to)
		if e := p.cat.Table(schema, name); names.find(to) != nil || e != nil && len(e.Columns) > 0 || p.cat.PlainTable(schema, name) != nil {
			return nil, viewError(errTableExists, "42S01", "Table '%s' already exists", name)
		}
		switch {
		case v == nil:
			return nil, sqlerr.Refuse("renaming tables and views over sharded tables at once", "they are kept in different places", "rename them one after the other")
		case schema != v.Schema:
			return nil, viewError(errForbidSchema, "HY000", "Changing schema from '%s' to '%s' is not allowed.", v.Schema, schema)
		}
		home = p.cat.HomeOf(schema)
		steps = append(steps, onCluster(home, "UPDATE serval_meta.views SET view_name = "+quoteText(name)+" WHERE "+rowOf(v)))
	}
	last := onCluster(home, "DO 0")
	return &plan.Plan{
		Root: &plan.Sequence{Steps: append(steps, last)}, Describe: last, Why: "views over sharded tables",
		Effects: plan.Effects{Schema: []plan.TableName{viewsTable}},
	}, nil
}

// checkView answers CHECK TABLE.
func (p *planning) checkView(v *catalog.View) (*plan.Plan, error) {
	name := quoteText(v.Schema + "." + v.Name)
	row := func(kind, what string) string {
		return "SELECT " + name + " AS `Table`, 'check' AS Op, " + quoteText(kind) + " AS Msg_type, " + quoteText(what) + " AS Msg_text"
	}
	sql := row("status", "OK")
	if err := (viewNames{cat: p.cat}).valid(v); err != nil {
		sql = row("Error", sqlerr.From(err).Message) + " UNION ALL " + row("error", "Corrupt")
	}
	return p.homeQuery(text(sql), p.cat.HomeOf(v.Schema)), nil
}

// showView answers the SHOW statements that are about one table, where that is
// a logical view.
func (p *planning) showView(n *ast.ShowStmt) (*plan.Plan, error) {
	if n.Table == nil {
		return nil, nil
	}
	name := parser.TableName{Schema: orName(n.DBName, n.Table.Schema.O), Table: n.Table.Name.O}
	v := viewNames{p.cat, p.db}.find(name)
	if v == nil {
		if e := p.lookup(name); n.Tp == ast.ShowCreateView && e != nil && e.Placement != nil {
			return nil, viewError(errWrongObject, "HY000", "'%s.%s' is not VIEW", e.Placement.Schema, e.Name)
		}
		return nil, nil
	}
	home := p.cat.HomeOf(v.Schema)
	switch n.Tp {
	case ast.ShowCreateView, ast.ShowCreateTable:
		return p.homeQuery(text("SELECT "+quoteText(v.Name)+" AS `View`, "+quoteText(createView(v, p.db))+" AS `Create View`, "+
			quoteText(v.Charset)+" AS character_set_client, "+quoteText(v.Collation)+" AS collation_connection"), home), nil
	case ast.ShowColumns, ast.ShowIndex:
	default:
		return nil, nil
	}
	if err := (viewNames{cat: p.cat}).valid(v); err != nil {
		return nil, err
	}
	if n.Tp == ast.ShowIndex {
		return p.homeQuery(text("SHOW INDEX FROM information_schema.TABLES"), home), nil // which has none
	}
	columns := []string{"Field", "Type", "Null", "Key", "Default", "Extra"}
	if n.Full {
		columns = []string{"Field", "Type", "Collation", "Null", "Key", "Default", "Extra", "Privileges", "Comment"}
	}
	var rows []string
	for _, r := range v.Rows["SHOW"] {
		rows = append(rows, rowSQL(r, columns))
	}
	where, err := p.showFilter(n, "Field")
	if err != nil {
		return nil, err
	}
	if n.Column != nil {
		where = text(" WHERE `Field` = " + quoteText(n.Column.Name.O))
	}
	return p.homeQuery(compact(append(text("SELECT * FROM ("+strings.Join(rows, " UNION ALL ")+") AS t"), where...)), home), nil
}

// rowSQL is a row as a SELECT, of the columns as they are to be called.
func rowSQL(row map[string]catalog.Field, columns []string) string {
	var list []string
	for _, c := range columns {
		list = append(list, fieldSQL(row, c)+" AS "+sqlval.QuoteName(c))
	}
	return "SELECT " + strings.Join(list, ", ")
}

func fieldSQL(row map[string]catalog.Field, column string) string {
	f, ok := row[strings.ToUpper(column)]
	switch {
	case !ok || f.Null:
		return "NULL"
	case f.Number:
		return f.Text
	}
	return quoteText(f.Text)
}

// createView is the statement that makes the view.
func createView(v *catalog.View, db string) string {
	s := "CREATE ALGORITHM=" + orName(v.Algorithm, "UNDEFINED") + " DEFINER=" + v.Definer + " SQL SECURITY " + orName(v.Security, "DEFINER") +
		" VIEW " + pick(v.Schema == db, "", sqlval.QuoteName(v.Schema)+".") + sqlval.QuoteName(v.Name)
	if len(v.Listed) > 0 {
		var list []string
		for _, c := range v.Listed {
			list = append(list, sqlval.QuoteName(c))
		}
		s += " (" + strings.Join(list, ",") + ")"
	}
	return s + " AS " + shownIn(v.Shown, db) + pick(v.Check != "", " WITH "+v.Check+" CHECK OPTION", "")
}

// viewRows are the rows a table of information_schema (COLUMNS, TABLES, VIEWS)
// has for the logical views that are told of, each as a SELECT of the columns in their order.
func viewRows(cat *catalog.Catalog, table string, columns []string, told func(*catalog.View) bool) []string {
	var out []string
	for _, v := range sortedViews(cat) {
		if !told(v) {
			continue
		}
		for _, r := range v.Rows[strings.ToUpper(table)] {
			row := make(map[string]catalog.Field, len(r)+2)
			for k, f := range r {
				row[k] = f
			}
			row["TABLE_SCHEMA"], row["TABLE_NAME"] = catalog.Field{Text: v.Schema}, catalog.Field{Text: v.Name}
			out = append(out, rowSQL(row, columns))
		}
	}
	return out
}

func sortedViews(cat *catalog.Catalog) []*catalog.View {
	out := make([]*catalog.View, 0, len(cat.Views))
	for _, v := range cat.Views {
		out = append(out, v)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Schema+"."+out[i].Name < out[j].Schema+"."+out[j].Name })
	return out
}

// statusColumns are those of SHOW TABLE STATUS, of which a view has but the
// first and, on MySQL, its time; see Rows.
var statusColumns = []string{"Name", "Engine", "Version", "Row_format", "Rows", "Avg_row_length", "Data_length", "Max_data_length",
	"Index_length", "Data_free", "Auto_increment", "Create_time", "Update_time", "Check_time", "Collation", "Checksum", "Create_options", "Comment"}

// statusOfView answers SHOW TABLE STATUS for a view.
func (p *planning) statusOfView(v *catalog.View) *plan.Plan {
	row := map[string]catalog.Field{"NAME": {Text: v.Name}, "COMMENT": {Text: "VIEW"}}
	columns := statusColumns
	for _, r := range v.Rows["TABLES"] {
		row["CREATE_TIME"] = r["CREATE_TIME"]
		if _, ok := r["MAX_INDEX_LENGTH"]; ok { // MariaDB
			columns = append(columns[:len(columns):len(columns)], "Max_index_length", "Temporary")
		}
	}
	if err := (viewNames{cat: p.cat}).valid(v); err != nil {
		row["COMMENT"] = catalog.Field{Text: sqlerr.From(err).Message}
	}
	return p.homeQuery(text(rowSQL(row, columns)), p.cat.HomeOf(v.Schema))
}
