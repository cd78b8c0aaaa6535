package session

import (
	"context"
	"strings"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// CREATE TABLE … SELECT over several servers. The definition is the home
// server's, which runs the statement over empty copies (views.go makes them);
// the table is created by it like a client's own, and filled by an INSERT …
// SELECT in one transaction. Where that fails the table is dropped again.

// createFrom runs it.
func (s *Session) createFrom(ctx context.Context, n *plan.CreateFrom, bound *plan.Bound) (out executor.Outcome, err error) {
	query := string(bound.Tasks.Of(n.Query)[0].SQL)
	if err := s.mayRead(query); err != nil {
		return out, err
	}
	def, err := s.definitionFrom(ctx, n, bound)
	if err != nil {
		return out, err
	}
	if !asciiOrUTF8(s.settings.charset, query+strings.Join(def.columns, "")) {
		return out, sqlerr.Refuse("CREATE TABLE … SELECT over several servers", "it has text of the character set "+s.settings.charset, "SET NAMES utf8mb4")
	}
	target := sqlval.QuoteName(n.Scratch.View.Schema) + "." + sqlval.QuoteName(n.Scratch.View.Table)
	word := ""
	if n.Temporary {
		word = "TEMPORARY "
	}
	out, err = s.createAs(ctx, "CREATE "+word+"TABLE "+target+" "+def.body)
	const tableExists = 1050
	if err != nil && n.IfNotExists && sqlerr.From(err).Code == tableExists {
		s.diag.rows = append(s.diag.rows[:0], diagnostic{level: "Note", code: tableExists, message: sqlerr.From(err).Message})
		s.diag.count = 1
		return executor.Outcome{OK: wire.OK{Warnings: 1}}, nil
	}
	if err != nil {
		return out, err
	}
	s.diag.reset() // the definition's own, which the statement has not
	if !n.Temporary {
		if err := s.refresh(ctx, []plan.TableName{n.Scratch.View}); err != nil {
			return out, err
		}
	}
	out, err = s.fill(ctx, n, def, query)
	out.OK.LastInsertID = 0
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTime)
		defer cancel()
		if _, _, drop := s.inner(undo, []byte("DROP "+word+"TABLE "+target), s.out); drop != nil {
			s.log.Warn("a table that could not be filled could not be dropped", "table", target, "err", drop)
			e := sqlerr.From(err)
			err = &sqlerr.Error{Code: e.Code, State: e.State, Message: e.Message + "; the table was created, is empty, and could not be dropped: " + drop.Error()}
		}
	}
	return out, err
}

// mayRead plans the query, so that what is refused is refused before anything is
// created.
func (s *Session) mayRead(query string) error {
	e, err := s.planNew(s.deps.Catalog.Load(), []byte(query))
	if err == nil && e.views != nil {
		err = s.readable(e.views)
	}
	return err
}

// fromDefinition is what a server says the table is like.
type fromDefinition struct {
	// body is the definition behind the name, columns are those of the query
	// and types their types' first words.
	body           string
	columns, types []string
}

// definitionFrom has the home's server work it out.
func (s *Session) definitionFrom(ctx context.Context, n *plan.CreateFrom, bound *plan.Bound) (def *fromDefinition, err error) {
	conns, err := s.deps.Fleet.Acquire(ctx, s.wantPrimary(n.Scratch.Home, 1))
	if err != nil {
		return nil, err
	}
	c := conns[0]
	defer c.Arm(ctx)()
	defer func() { c.Release(err) }()
	c.Want(&backend.State{})
	w := &definer{s: s, d: n.Scratch, conn: c}
	err = w.locked(ctx, func() error {
		if err := w.clear(ctx); err != nil {
			return err
		}
		def, err = w.tableFromScratch(ctx, string(bound.Tasks.Of(n.Scratch.Create)[0].SQL), string(bound.Tasks.Of(n.Columns)[0].SQL))
		c.Want(&backend.State{})
		if again := w.clear(ctx); err == nil {
			err = again
		}
		return err
	})
	return def, w.logical(err)
}

// tableFromScratch creates the table among the copies, in the session's own
// state, and reads what it is like.
func (w *definer) tableFromScratch(ctx context.Context, create, columns string) (*fromDefinition, error) {
	if err := w.copies(ctx); err != nil {
		return nil, err
	}
	database := sqlval.QuoteName(plan.ScratchDatabase(0))
	rows, err := w.rows(ctx, "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = "+quoteText(w.d.View.Schema))
	if err == nil && len(rows) == 1 {
		err = w.exec(ctx, "ALTER DATABASE "+database+" CHARACTER SET "+string(rows[0][0])+" COLLATE "+string(rows[0][1]))
	}
	if err != nil {
		return nil, err
	}
	w.conn.Want(w.s.settings.state(false))
	if err := w.exec(ctx, create); err != nil {
		return nil, err
	}
	read, _, err := w.conn.Select(ctx, columns)
	if err != nil {
		return nil, err
	}
	w.conn.Want(&backend.State{})
	target := database + "." + sqlval.QuoteName(plan.ScratchTarget)
	if rows, err = w.rows(ctx, "SHOW CREATE TABLE "+target); err != nil {
		return nil, err
	}
	body := definition.FindStringSubmatch(string(rows[0][1]))
	if body == nil {
		return nil, sqlerr.Refuse("CREATE TABLE … SELECT", "its server does not say what the table is like", "create it, then insert")
	}
	def := &fromDefinition{body: likeCounter.ReplaceAllString(namedChecks(body[1]), "")}
	if rows, err = w.rows(ctx, "SHOW COLUMNS FROM "+target); err != nil {
		return nil, err
	}
	types := map[string]string{}
	for _, r := range rows {
		types[strings.ToLower(string(r[0]))] = typeWord(string(r[1]))
	}
	for _, c := range read {
		def.columns = append(def.columns, string(c.Name))
		def.types = append(def.types, types[strings.ToLower(string(c.Name))])
	}
	return def, nil
}

// fill inserts the query's rows, all or none.
func (s *Session) fill(ctx context.Context, n *plan.CreateFrom, def *fromDefinition, query string) (out executor.Outcome, err error) {
	if s.tx.State() == txn.Open { // a temporary table's, which commits nothing
		return s.allOrNothing(ctx, func(ctx context.Context) (executor.Outcome, error) { return s.stageInto(ctx, n, def, query) })
	}
	s.enclosed = true
	if err := s.open(txn.Options{}); err != nil {
		return out, err
	}
	if n.Temporary {
		// The first to take part is no XA branch, in which MySQL forbids
		// temporary tables.
		if err = s.takePart(ctx, n.Scratch.Home); err == nil {
			out, err = s.stageInto(ctx, n, def, query)
		}
	} else {
		out, err = s.insertFrom(ctx, n, def, query)
	}
	s.enclosed = false
	if err != nil {
		s.undo(ctx)
		return out, err
	}
	return out, s.commit(ctx)
}

// insertFrom inserts the rows like a client's INSERT … SELECT.
func (s *Session) insertFrom(ctx context.Context, n *plan.CreateFrom, def *fromDefinition, query string) (executor.Outcome, error) {
	verb := "INSERT "
	switch {
	case n.Replace:
		verb = "REPLACE "
	case n.Ignore:
		verb = "INSERT IGNORE "
	}
	names := make([]string, len(def.columns))
	for i, c := range def.columns {
		names[i] = sqlval.QuoteName(c)
	}
	s.mayStage = true
	defer func() { s.mayStage = false }()
	bound, out, err := s.inner(ctx, []byte(verb+"INTO "+sqlval.QuoteName(n.Scratch.View.Schema)+"."+sqlval.QuoteName(n.Scratch.View.Table)+" ("+strings.Join(names, ", ")+") "+query), s.out)
	if err == nil && bound.MaxNumber != 0 {
		s.observe(ctx, bound)
	}
	return out, err
}

// stageInto reads the rows and inserts them: nobody else knows a temporary
// table's columns.
func (s *Session) stageInto(ctx context.Context, n *plan.CreateFrom, def *fromDefinition, query string) (executor.Outcome, error) {
	to := plan.StagedWrite{Kind: plan.StagedAdd, Table: n.Scratch.View}
	for i, c := range def.columns {
		to.Columns = append(to.Columns, plan.StagedColumn{Name: c, Type: def.types[i]})
	}
	staged := &plan.Staged{Writes: []plan.StagedWrite{to}, Ignore: n.Ignore, Replace: n.Replace, Computes: true}
	return s.runStaged(ctx, &plan.BoundStaged{Staged: staged, SQL: []string{query}})
}
