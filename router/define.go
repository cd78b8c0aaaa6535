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

// views plans the definition of logical views: CREATE and ALTER VIEW over what
// is not all on the schema's home cluster. Other views are the home's own.
func views(p *planning) (*plan.Plan, error) {
	h := p.st.View()
	if h == nil {
		return p.viewsNamed()
	}
	body, err := p.st.Part(h.Body)
	if err != nil {
		return nil, nil //nolint:nilerr // opaque refuses what names a sharded table, the home says what is wrong with others
	}
	schema, name := p.names(h.Name)
	existing := p.cat.View(schema, name)
	home := p.cat.HomeOf(schema)
	if existing == nil && !p.logicalBody(body, home) {
		return nil, nil
	}
	if schema == "" {
		return nil, sqlerr.New(sqlerr.NoDB, "No database selected")
	}
	if err := p.mayDefine(h, schema, name, existing); err != nil {
		return nil, err
	}
	if existing != nil && h.IfNotExists && !h.Replace {
		return p.nothing(home), nil
	}
	if err := definable(body, name); err != nil {
		return nil, err
	}
	d := &definition{planning: p, node: &plan.DefineView{
		View: plan.TableName{Schema: schema, Table: name}, Replace: h.Replace, Alter: h.Alter, Exists: existing != nil, Home: home,
		Columns: h.Columns, Algorithm: h.Algorithm, Definer: h.Definer, Security: h.Security, Check: h.Check,
	}, done: map[parser.TableName]bool{}, what: "the view " + name}
	if err := d.build(h, body); err != nil {
		return nil, err
	}
	return &plan.Plan{Root: d.node, Why: "a view over sharded tables", Describe: onCluster(home, "DO 0"),
		Effects: plan.Effects{Schema: []plan.TableName{viewsTable}}}, nil
}

// viewsTable holds the logical views; that it changed has them read again.
var viewsTable = plan.TableName{Schema: metaSchema, Table: "views"}

// nothing is a plan that does nothing.
func (p *planning) nothing(cluster string) *plan.Plan {
	return &plan.Plan{Why: "nothing to do", Root: onCluster(cluster, "DO 0")}
}

// logicalBody: one server has not all of what the SELECT names.
func (p *planning) logicalBody(body *parser.Statement, home string) bool {
	for _, t := range body.Tables {
		schema, table := p.names(t)
		if p.cat.View(schema, table) != nil {
			return true
		}
		if e := p.lookup(t); e != nil && e.Placement != nil && e.Placement.Kind != shardrule.Whole {
			return true
		}
		if at, whole := p.clusterOf(t); whole && at != home {
			return true
		}
	}
	return false
}

// mayDefine: the name is free, or of the view that is to be replaced.
func (p *planning) mayDefine(h *parser.ViewHead, schema, name string, existing *catalog.View) error {
	replaces := h.Replace || h.Alter
	e := p.cat.Table(schema, name)
	switch {
	case e != nil && e.Placement != nil && len(e.Columns) == 0:
		return sqlerr.Refuse("a view called "+name, "a rule has that name", "call it otherwise")
	case e != nil && e.Placement != nil && replaces:
		return viewError(errWrongObject, "HY000", "'%s.%s' is not VIEW", schema, name)
	case e != nil && e.Placement != nil, existing != nil && !replaces && !h.IfNotExists:
		return viewError(errTableExists, "42S01", "Table '%s' already exists", name)
	}
	return nil
}

// definable refuses what in a view would be another connection's.
func definable(body *parser.Statement, name string) error {
	refuse := func(what, why string) error {
		return sqlerr.Refuse(what+" in the view "+name+" over sharded tables", why, "leave it out")
	}
	f := body.Facts()
	switch {
	case f.IntoFile || f.IntoVar:
		return viewError(errViewSelectClause, "HY000", "View's SELECT contains a 'INTO' clause")
	case f.Locking:
		return refuse("a locking read", "the rows to lock are on the shards")
	case f.NamedLock, f.Sequence, f.Sleep:
		return refuse("a lock, a sequence or a pause", "each shard would have its own")
	case len(f.UnknownFuncs) > 0 && !strings.HasPrefix(f.UnknownFuncs[0], "'tidb`"):
		return refuse("the function "+f.UnknownFuncs[0], "stored functions are only at the schema's home")
	}
	v := sessionFunctions{}
	body.Node.Accept(&v)
	if v.found != "" {
		return refuse(strings.ToUpper(v.found)+"()", "its value belongs to a session")
	}
	return nil
}

// sessionFunctions finds a function whose value the session puts into the text
// of statements, but not into that of definitions.
type sessionFunctions struct{ found string }

// Enter implements ast.Visitor.
func (v *sessionFunctions) Enter(n ast.Node) (ast.Node, bool) {
	if f, ok := n.(*ast.FuncCallExpr); ok {
		switch f.FnName.L {
		case "last_insert_id", "row_count", "found_rows", "connection_id", "database", "schema",
			"user", "session_user", "system_user", "current_user", "current_role":
			v.found = f.FnName.L
		}
	}
	return n, false
}

// Leave implements ast.Visitor.
func (v *sessionFunctions) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// definition is a DefineView being made.
type definition struct {
	*planning
	node *plan.DefineView
	done map[parser.TableName]bool
	// what is defined, for messages.
	what string
	// copies: tables that stand on the home cluster are copied, too.
	copies bool
}

func (d *definition) build(h *parser.ViewHead, body *parser.Statement) error {
	names := make([]parser.TableName, len(body.Tables))
	for i, t := range body.Tables {
		names[i].Schema, names[i].Table = d.names(t)
	}
	scratch := d.schema(d.node.View.Schema)
	if err := d.sources(names, 0); err != nil {
		return err
	}
	edits, err := replaceTables(body, func(t parser.TableName) (string, string) {
		schema, table := d.names(t)
		return d.standsFor(parser.TableName{Schema: schema, Table: table})
	})
	if err != nil {
		return sqlerr.Refuse("this view", "its tables are sharded and their names cannot be replaced in it with certainty", "write it more simply").WithCause(err)
	}
	out, err := body.Rewritten(edits)
	if err != nil {
		return err
	}
	sql := "CREATE " + clause("ALGORITHM = ", h.Algorithm) + clause("SQL SECURITY ", h.Security) + "VIEW " +
		sqlval.QuoteName(plan.ScratchDatabase(scratch)) + "." + sqlval.QuoteName(d.node.View.Table)
	if len(h.Columns) > 0 {
		var list []string
		for _, c := range h.Columns {
			list = append(list, sqlval.QuoteName(c))
		}
		sql += " (" + strings.Join(list, ", ") + ")"
	}
	tail := pick(h.Check != "", " WITH "+h.Check+" CHECK OPTION", "")
	d.node.Create = &plan.Route{
		Choice: plan.Choice{Kind: plan.ChooseOne, Shard: topology.Shard{Index: -1, Cluster: d.node.Home}}, Target: topology.TargetPrimary,
		SQL: compact(append(append(text(sql+" AS "), splice(out, parser.Span{End: len(out.Text)}, nil)...), text(tail)...)),
	}
	return nil
}

func clause(word, value string) string {
	if value == "" {
		return ""
	}
	return word + value + " "
}

// schema is the number of a logical schema's scratch database.
func (d *definition) schema(name string) int {
	for i, s := range d.node.Schemas {
		if s == name {
			return i
		}
	}
	d.node.Schemas = append(d.node.Schemas, name)
	return len(d.node.Schemas) - 1
}

// standsFor is the name under which the home server finds a table, or its copy.
func (d *definition) standsFor(t parser.TableName) (schema, table string) {
	if d.real(t) {
		return t.Schema, t.Table
	}
	return plan.ScratchDatabase(d.schema(t.Schema)), t.Table
}

// real: the table itself stands on the home cluster under its name.
func (d *definition) real(t parser.TableName) bool {
	if d.copies || d.cat.View(t.Schema, t.Table) != nil {
		return false
	}
	e := d.cat.Table(t.Schema, t.Table)
	return (e == nil || e.Placement == nil) && d.cat.HomeOf(t.Schema) == d.node.Home
}

// sources notes what is to be copied of the tables, and of those of the views
// among them.
func (d *definition) sources(names []parser.TableName, depth int) error {
	for _, t := range names {
		if d.done[t] {
			continue
		}
		d.done[t] = true
		if v := d.cat.View(t.Schema, t.Table); v != nil {
			if err := d.view(v, depth); err != nil {
				return err
			}
			continue
		}
		switch lower(t.Schema) {
		case "information_schema", "performance_schema", "mysql", "sys":
			return sqlerr.Refuse(d.what, "it is over sharded tables and over "+t.Schema+", of which each server has its own",
				"query them one after the other")
		case "":
			return sqlerr.New(sqlerr.NoDB, "No database selected")
		}
		if err := d.table(t); err != nil {
			return err
		}
	}
	return nil
}

// table notes a table that is to be copied.
func (d *definition) table(t parser.TableName) error {
	if d.real(t) {
		return nil
	}
	from := atHome(d.cat.HomeOf(t.Schema), t)
	if e := d.cat.Table(t.Schema, t.Table); e != nil && e.Placement != nil {
		if len(e.Columns) == 0 || len(e.Placement.Shards) == 0 {
			return sqlerr.New(sqlerr.NoSuchTable, "Table '%s.%s' doesn't exist", t.Schema, t.Table)
		}
		from = e.Placement.Shards[0]
	}
	d.node.Tables = append(d.node.Tables, plan.ScratchTable{
		Table: plan.TableName{Schema: t.Schema, Table: t.Table}, Schema: d.schema(t.Schema), From: from,
	})
	return nil
}

// view notes a logical view that the new one reads.
func (d *definition) view(v *catalog.View, depth int) error {
	own := d.node.View
	switch {
	case d.copies && depth <= mostNested:
	case v == d.cat.View(own.Schema, own.Table) && depth == 0:
		return sqlerr.New(sqlerr.NoSuchTable, "Table '%s.%s' doesn't exist", own.Schema, own.Table)
	case v == d.cat.View(own.Schema, own.Table) || depth > mostNested:
		return viewError(errViewRecursive, "HY000", "`%s`.`%s` contains view recursion", own.Schema, own.Table)
	}
	def, err := parser.ParseText(v.Definition, parser.Options{})
	if err != nil {
		return invalidView(v)
	}
	if err := d.sources(def.Tables, depth+1); err != nil {
		return err
	}
	edits, err := replaceTables(def, d.standsFor)
	if err != nil {
		return invalidView(v)
	}
	if def, err = def.Rewritten(edits); err != nil {
		return invalidView(v)
	}
	schema, name := d.standsFor(parser.TableName{Schema: v.Schema, Table: v.Name})
	d.node.Views = append(d.node.Views, "CREATE VIEW "+sqlval.QuoteName(schema)+"."+sqlval.QuoteName(name)+" AS "+def.Text)
	return nil
}
