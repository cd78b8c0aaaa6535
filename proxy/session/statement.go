package session

import (
	"context"
	"time"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// The way of a statement:
//
//	text      its fingerprint; what the session answers itself (local.go)
//	plan      from the cache, or parsed and planned (planning.go)
//	dispatch  may this user? commits or begins a transaction implicitly
//	attempts  until one ends it: (attempts.go)
//	  bind      values to shards (bind.go)
//	  attempt   the executor sends the tasks and writes columns and rows
//	conclude  what it changed in the session; the closing OK or EOF
//
// Prepared statements come in at dispatch with their parameters.

// text runs one text statement. The error, if any, is the client's to see and
// nothing has been written for it yet but rows.
func (s *Session) text(ctx context.Context, text []byte, fp *parser.Fingerprint) error {
	handled, err := s.local(ctx, fp.Verb, text)
	if handled || err != nil {
		return err
	}
	if err := s.awaitRules(ctx); err != nil {
		return s.failed(ctx, err)
	}
	if s.settings.limit != "" {
		if handled, err := s.textLimited(ctx, text); handled || err != nil {
			return err
		}
	}
	e, hit, err := s.plan(text, fp)
	if err != nil && fp.Verb == "DO" {
		return s.doByQuery(ctx, string(text), s.failed(ctx, err))
	}
	if err != nil {
		return s.failed(ctx, err)
	}
	s.finished.CacheHit = hit
	if e.session {
		return s.textWithSession(ctx, string(text))
	}
	if fp.Flags&parser.HasMarker != 0 {
		return sqlerr.New(sqlerr.Parse, "You have an error in your SQL syntax near '?'")
	}
	if waited, err := s.heldBack(ctx, e); err != nil {
		return s.failed(ctx, err)
	} else if waited {
		return s.text(ctx, text, fp)
	}
	s.args = textArgs{text: text, literals: fp.Literals, mode: s.settings.mode}
	return s.dispatch(ctx, e, &s.args, nil)
}

// textWithSession runs a statement that asks for session values: alone, or
// after putting them in.
func (s *Session) textWithSession(ctx context.Context, text string) error {
	tokens := scan(text, s.settings.mode)
	values := s.findSession(tokens)
	if s.answerSession(text, tokens, values) {
		return nil
	}
	put := []byte(splice(text, tokens, values))
	var fp parser.Fingerprint
	if err := s.lexer.Fingerprint(put, s.settings.mode, &fp); err != nil {
		return err
	}
	e, err := s.planSpliced(put, &fp)
	if err != nil {
		return s.failed(ctx, err)
	}
	if waited, err := s.heldBack(ctx, e); err != nil {
		return s.failed(ctx, err)
	} else if waited {
		return s.textWithSession(ctx, text)
	}
	return s.dispatch(ctx, e, &textArgs{text: put, literals: fp.Literals, mode: s.settings.mode}, nil)
}

// planSpliced plans a text in which the session's values are put in. What could
// not be put in (FOUND_ROWS() after rows that were not counted) is the router's
// to refuse.
func (s *Session) planSpliced(text []byte, fp *parser.Fingerprint) (*planned, error) {
	e, _, err := s.plan(text, fp)
	if err == nil && e.session {
		return s.planNew(s.deps.Catalog.Load(), text)
	}
	return e, err
}

// dispatch runs a planned statement with its values.
func (s *Session) dispatch(ctx context.Context, e *planned, args plan.Args, params *preparedArgs) error {
	if err := s.allowed(ctx, e); err != nil {
		return s.failed(ctx, err)
	}
	if e.hints.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, e.hints.Timeout)
		defer cancel()
	}
	alone, err := s.boundary(ctx, e)
	if err != nil {
		return err
	}
	if len(e.defines) > 0 {
		if err := s.mayDefine(ctx, e); err != nil {
			return s.failed(ctx, err)
		}
	}
	if e.plan.ReadOnly && s.tx.State() == txn.Idle {
		s.reading.Store(e)
	}
	if !s.onMariaDB() || e.kind != parser.KindSelect || len(e.tables) > 0 {
		s.diag.reset() // MariaDB keeps them for what reads no table
	}
	bound, out, err := s.attempts(ctx, e, args, params)
	if err == nil && bound.Given != nil {
		err = s.settleID(ctx, bound, &out)
	}
	if s.enclosed {
		s.enclosed, alone = false, err == nil
	}
	if alone {
		err = s.endAlone(ctx, err)
		if err != nil && sqlerr.From(err).Code == errReadOnlyTx {
			s.next.Access = "READ ONLY" // MySQL looks before it begins, so the next one is the next still
		}
	}
	if err != nil {
		return s.failed(ctx, e.invalid(err))
	}
	return s.conclude(ctx, e, bound, &out)
}

// allowed refuses what the user may not do, by itself or through a view or a procedure.
func (s *Session) allowed(ctx context.Context, e *planned) error {
	if err := s.access(e); err != nil {
		return err
	}
	if e.views != nil {
		if err := s.readable(e.views); err != nil {
			return err
		}
	}
	if e.kind == parser.KindCall {
		return s.mayCall(ctx, e.called)
	}
	return nil
}

// boundary commits an open transaction before a statement that does so
// implicitly, and begins one where autocommit is off or SET TRANSACTION asked
// for a level. alone: the transaction is for this one statement.
func (s *Session) boundary(ctx context.Context, e *planned) (alone bool, err error) {
	if commitsImplicitly(e) {
		return false, s.commit(ctx)
	}
	if s.tx.State() == txn.Open || !runsInTransaction(e.kind) {
		return false, nil
	}
	if !s.autocommit {
		return false, s.implicitBegin()
	}
	if s.next == (txn.Options{}) {
		return false, nil
	}
	opts := s.next
	s.next = txn.Options{}
	return true, s.open(opts)
}

func commitsImplicitly(e *planned) bool {
	switch e.kind {
	case parser.KindDDL, parser.KindLock, parser.KindAdmin:
		return e.plan.Effects.Pins != "temporary table"
	}
	return false
}

func runsInTransaction(k parser.Kind) bool {
	switch k {
	case parser.KindSelect, parser.KindInsert, parser.KindUpdate, parser.KindDelete, parser.KindCall, parser.KindDo, parser.KindLoad:
		return true
	}
	return false
}

// endAlone ends the transaction of one statement.
func (s *Session) endAlone(ctx context.Context, err error) error {
	if err != nil {
		_ = s.tx.Rollback(ctx)
		return err
	}
	return s.commit(ctx)
}

// failed follows an error: what it means for the transaction.
func (s *Session) failed(ctx context.Context, err error) error {
	if s.running != nil && s.running.victim.Load() {
		err = txn.DeadlockError()
	}
	e := sqlerr.From(err)
	if s.tx.State() == txn.Open {
		// The statement's own context may be what ended it.
		settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTime)
		defer cancel()
		if over, _, _ := s.tx.Settle(settle, err); over {
			s.log.Debug("transaction rolled back", "code", e.Code)
		}
	}
	return e
}

// conclude follows what a statement did and writes the end of its answer.
func (s *Session) conclude(ctx context.Context, e *planned, bound *plan.Bound, out *executor.Outcome) error {
	_, marks, err := s.tx.Settle(ctx, nil)
	s.committed(marks)
	if err != nil {
		return s.failed(ctx, err)
	}
	s.wrote(out.GTIDs)
	s.finished.Shards, s.finished.Rows = out.Shards, out.Rows
	if err := s.refresh(ctx, e.plan.Effects.Schema); err != nil {
		return err
	}
	s.tellOnce(e, bound, out)
	s.diag.complete(int(out.OK.Warnings))
	s.found(e.plan.Effects.Found, bound.Args, out)
	if out.Columns > 0 {
		s.rowCount = -1
		if bound.Staged != nil && out.OK.LastInsertID != 0 && !out.KeepsID {
			s.lastInsertID = out.OK.LastInsertID
		}
		s.numbered(ctx, bound)
		s.eof(out.OK)
		return nil
	}
	if bound.FirstNumber != 0 {
		out.OK.LastInsertID = bound.FirstNumber
	}
	if takesID(&e.plan.Effects, bound, out) {
		s.lastInsertID = out.OK.LastInsertID
	}
	s.numbered(ctx, bound)
	if s.assigning {
		out.OK.AffectedRows = 0
	}
	s.rowCount = int64(out.OK.AffectedRows)
	out.OK.Tracked = wire.Tracked{}
	s.ok(out.OK)
	return nil
}

// numbered follows the numbers of the rows that a statement has inserted.
func (s *Session) numbered(ctx context.Context, bound *plan.Bound) {
	if bound.FirstNumber != 0 {
		s.lastInsertID = bound.FirstNumber
	}
	if bound.MaxNumber != 0 {
		s.observe(ctx, bound)
	}
}

// refresh has the tables read again that the statement has changed, so that
// this session's next statement knows them.
func (s *Session) refresh(ctx context.Context, tables []plan.TableName) error {
	if s.deps.Refresher == nil {
		return nil
	}
	if s.locksTables() && len(tables) > 0 {
		s.unread = append(s.unread, tables...) // whoever reads them now waits for this session
		return nil
	}
	for _, t := range tables {
		schema := t.Schema
		if schema == "" {
			schema = s.settings.db
		}
		if err := s.deps.Refresher.Refresh(ctx, schema, t.Table); err != nil {
			s.log.Warn("table definition was changed but could not be read again", "schema", schema, "table", t.Table, "err", err)
		}
	}
	return nil
}

// pads are the weights of a space by collation id, for one catalog.
type pads struct {
	of      *catalog.Catalog
	weights map[uint16][]byte
}

// weight gives the weight of a space in a collation, nil where trailing spaces
// count.
func (p *pads) weight(cat *catalog.Catalog, collation uint16) []byte {
	if p.of != cat {
		p.of, p.weights = cat, make(map[uint16][]byte, len(cat.Collations))
		for _, c := range cat.Collations {
			if c.PadSpace {
				p.weights[c.ID] = c.PadWeight
			}
		}
	}
	return p.weights[collation]
}

// endAnswer closes a result that another one of the same statement follows.
func (s *Session) endAnswer(ok wire.OK, columns int) error {
	more := s.more
	s.more = true
	if columns == 0 {
		s.ok(ok)
	} else {
		s.eof(ok)
	}
	s.more = more
	return s.out.Err()
}

// report tells the hook of a finished statement.
func (s *Session) report(start time.Time, fp *parser.Fingerprint, err error) {
	if s.deps.Hooks.Statement == nil {
		return
	}
	f := &s.finished
	f.Session, f.User, f.Schema = s.c.ID, s.c.User.Name, s.settings.db
	f.Key, f.Verb = fp.Key, fp.Verb
	f.Duration, f.Err, f.Prepared = time.Since(start), err, s.binary
	s.deps.Hooks.Statement(f)
}
