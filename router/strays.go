package router

import (
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// strays refuses what runs a stored function, a trigger or a server's own view that
// names a table whose rows are on other servers: Serval refuses to make such, but
// they may have been there before, or made past Serval.
func strays(p *planning) (*plan.Plan, error) {
	all := &p.cat.Strays
	if len(all.Functions) > 0 {
		for _, f := range p.facts.UnknownFuncs {
			schema, name, qualified := strings.Cut(f, ".")
			if !qualified {
				schema, name = p.db, f
			}
			if at, ok := p.cat.Stray(all.Functions, schema, name); ok {
				return nil, refuseStray("the function "+at.Name, at)
			}
		}
	}
	if len(all.Views) > 0 {
		for _, t := range p.readByText() {
			if at, ok := p.strayOf(all.Views, t); ok {
				return nil, refuseStray("the view "+at.Name, at)
			}
		}
	}
	if len(all.Triggers) > 0 {
		for _, t := range p.writtenByText() {
			if at, ok := p.strayOf(all.Triggers, t); ok {
				return nil, refuseStray("a change of "+t.Table+", whose trigger "+at.Name+" would run", at)
			}
		}
	}
	return nil, nil
}

func (p *planning) strayOf(in map[catalog.ViewName]catalog.Stray, t parser.TableName) (catalog.Stray, bool) {
	schema, name := p.names(t)
	if p.cat.Table(schema, name) != nil {
		return catalog.Stray{}, false
	}
	return p.cat.Stray(in, schema, name)
}

func refuseStray(what string, at catalog.Stray) error {
	return sqlerr.Refuse(what, "it names "+at.Table+", or calls or reads what does, and it would run on one server, which has not all of that table's rows",
		"write it out in the statement, or send its statements from the application")
}

// readByText are the tables that the statement may read: all it names, but for
// the one that it defines and those that it only shows.
func (p *planning) readByText() []parser.TableName {
	switch p.st.Kind {
	case parser.KindShow, parser.KindAdmin, parser.KindLock:
		return nil
	case parser.KindDDL:
		if p.st.Verb != "CREATE" || len(p.st.Tables) == 0 {
			return nil
		}
		return p.st.Tables[1:]
	default:
		return p.st.Tables
	}
}

// writtenByText are the tables that the statement may change.
func (p *planning) writtenByText() []parser.TableName {
	switch p.st.Kind {
	case parser.KindInsert, parser.KindLoad:
		return p.st.Tables[:min(1, len(p.st.Tables))]
	case parser.KindUpdate, parser.KindDelete, parser.KindOther:
		return p.st.Tables
	default:
		return nil
	}
}
