package router

import (
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
)

// createFrom plans CREATE TABLE … SELECT, but for what one server does alone.
func createFrom(p *planning) (*plan.Plan, error) {
	cut := p.st.CreateSelect()
	if cut == nil {
		return nil, nil
	}
	schema, table := p.names(cut.Name)
	what := "CREATE TABLE … SELECT of " + table
	body, err := p.st.Part(cut.Query)
	if err != nil && len(p.spread()) == 0 {
		return nil, nil //nolint:nilerr // its server says what is wrong
	}
	if err != nil {
		return nil, sqlerr.Refuse(what, "Serval's parser does not know its query", "create the table, then insert").WithCause(err)
	}
	if p.fromOneServer(append([]parser.TableName{cut.Name}, body.Tables...)) {
		return nil, nil
	}
	if err := p.mayCreateFrom(cut, what); err != nil {
		return nil, err
	}
	if err := repeatable(body, what); err != nil {
		return nil, err
	}
	node := &plan.CreateFrom{Temporary: cut.Temporary, IfNotExists: cut.IfNotExists, Ignore: cut.Ignore, Replace: cut.Replace,
		Scratch: &plan.DefineView{View: plan.TableName{Schema: schema, Table: table}, Home: p.cat.HomeOf(schema)}}
	if err := p.scratch(node, cut, body, what); err != nil {
		return nil, err
	}
	pl := &plan.Plan{Root: node, Why: "its definition first, then its rows", Describe: onCluster(node.Scratch.Home, "DO 0")}
	pl.Effects.Schema = []plan.TableName{node.Scratch.View}
	if cut.Temporary {
		pl.Effects = plan.Effects{Pins: "temporary table"}
	}
	return pl, nil
}

// mayCreateFrom refuses what cannot be worked out on empty copies.
func (p *planning) mayCreateFrom(cut *parser.CreateSelect, what string) error {
	schema, table := p.names(cut.Name)
	to := p.lookup(cut.Name)
	switch {
	case schema == "":
		return sqlerr.New(sqlerr.NoDB, "No database selected")
	case cut.Temporary && to != nil && to.Placement != nil:
		return sqlerr.Refuse("a temporary table called "+table, "a "+kindWord(to)+" table has that name", "call it otherwise")
	case cut.OrReplace:
		return sqlerr.Refuse("CREATE OR REPLACE TABLE … SELECT over several servers", "the old table would be gone where the new one cannot be filled", "drop it, then create it")
	case p.st.Hints.Cluster != "" || p.st.Hints.HasShard:
		return sqlerr.Refuse("the hint shard= or cluster= on "+what, "its tables are where their rules put them", "leave the hint out")
	case cut.References:
		return sqlerr.Refuse(what, "its foreign key refers to a table that is not where its definition is worked out", "create the table, then insert")
	}
	return nil
}

// fromOneServer: all of the tables are on one server.
func (p *planning) fromOneServer(tables []parser.TableName) bool {
	cluster := ""
	for _, t := range tables {
		schema, table := p.names(t)
		e := p.lookup(t)
		if p.cat.View(schema, table) != nil || e != nil && e.Placement != nil && e.Placement.Kind != shardrule.Whole {
			return false
		}
		at, whole := p.clusterOf(t)
		if whole && cluster != "" && at != cluster {
			return false
		}
		if whole {
			cluster = at
		}
	}
	return true
}

// repeatable refuses a query that does more than read, for its text is run
// twice, and what in it is the session's.
func repeatable(body *parser.Statement, what string) error {
	f := body.Facts()
	v := sessionFunctions{}
	body.Node.Accept(&v)
	why := ""
	switch {
	case f.NamedLock, f.Sequence, f.IntoFile, f.IntoVar, len(f.UserVarsSet) > 0:
		why = "its query does more than read, and is run once more to see the columns' types"
	case len(f.UnknownFuncs) > 0 && !strings.HasPrefix(f.UnknownFuncs[0], "'tidb`"):
		why = "the function " + f.UnknownFuncs[0] + " is not where its definition is worked out"
	case v.found != "":
		why = strings.ToUpper(v.found) + "() is the session's"
	default:
		return nil
	}
	return sqlerr.Refuse(what, why, "create the table, then insert")
}

// scratch makes the statement over copies.
func (p *planning) scratch(node *plan.CreateFrom, cut *parser.CreateSelect, body *parser.Statement, what string) error {
	d := &definition{planning: p, node: node.Scratch, done: map[parser.TableName]bool{}, what: what, copies: true}
	names := make([]parser.TableName, len(body.Tables))
	for i, t := range body.Tables {
		names[i].Schema, names[i].Table = p.names(t)
	}
	into := sqlval.QuoteName(plan.ScratchDatabase(d.schema(node.Scratch.View.Schema))) + "." + sqlval.QuoteName(plan.ScratchTarget)
	if err := d.sources(names, 0); err != nil {
		return err
	}
	edits, err := replaceTables(body, func(t parser.TableName) (string, string) {
		schema, table := p.names(t)
		return d.standsFor(parser.TableName{Schema: schema, Table: table})
	})
	if err != nil {
		return sqlerr.Refuse(what, "its tables' names cannot be replaced in it with certainty", "write it more simply").WithCause(err)
	}
	over, err := body.Rewritten(edits)
	if err != nil {
		return err
	}
	query := splice(over, parser.Span{End: len(over.Text)}, nil)
	head := appendPieces(text("CREATE TABLE "+into+" "), p.st.Pieces(cut.Head.Start, cut.Head.End))
	node.Scratch.Create = atScratch(node.Scratch.Home, append(append(head, text(" AS ")...), query...))
	node.Columns = atScratch(node.Scratch.Home, append(append(text("SELECT * FROM ("), query...), text(") AS serval LIMIT 0")...))
	node.Query = atScratch(node.Scratch.Home, appendPieces(nil, p.st.Pieces(cut.Query.Start, cut.Query.End)))
	return nil
}

func atScratch(home string, sql plan.Template) *plan.Route {
	r := onCluster(home, "")
	r.SQL = compact(sql)
	return r
}
