package session

import (
	"context"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// errMaxPrepared is ER_MAX_PREPARED_STMT_COUNT_REACHED.
const errMaxPrepared = 1461

// prepared is one statement of COM_STMT_PREPARE. Execution parses nothing
// again; it is only planned again when the catalog, the database or sql_mode
// have changed.
type prepared struct {
	id      uint32
	text    []byte
	fp      parser.Fingerprint // with slices of its own
	params  int
	columns []wire.Column
	args    preparedArgs
	decoded wire.Execute
	long    [][]byte // by parameter, nil where none was sent
	longErr error    // a piece that was refused, reported at execute
	// own: the session answers it (BEGIN, SET); it is run as text.
	own bool
	// db was the current database when it was prepared, in which servers
	// execute it.
	db string

	plan    *planned
	planned scope // what plan was made for
}

// scope is what a plan depends on besides the text.
type scope struct {
	catalog uint64
	db      string
	charset string
	mode    parser.Mode
}

func (s *Session) scope() scope {
	return scope{s.deps.Catalog.Load().Version, s.settings.db, s.settings.charset, s.settings.mode}
}

// statements are a session's prepared statements.
type statements struct {
	byID     map[uint32]*prepared
	nextID   uint32
	max      int
	longRoom int // bytes of long data that may still come
	textRoom int // bytes of statements' texts that may still come
}

// maxPreparedText bounds the texts of a session's prepared statements together.
const maxPreparedText = 64 << 20

func (t *statements) init(l Limits) {
	*t = statements{byID: map[uint32]*prepared{}, nextID: t.nextID, max: l.MaxStatements, longRoom: l.MaxLongData, textRoom: maxPreparedText}
}

// prepareCommand answers COM_STMT_PREPARE.
func (s *Session) prepareCommand(ctx context.Context, body []byte) {
	ctx = s.begin(ctx, "Prepare", body)
	defer s.end()
	p, err := s.prepare(ctx, body)
	if err == nil && p.fp.Verb != "SHOW" && !s.onMariaDB() { // SHOW WARNINGS is about what was before
		s.diag.reset()
	}
	if err != nil {
		err = because(ctx, err)
		s.diag.failed(sqlerr.From(err))
		s.fail(err)
		return
	}
	s.stmts.byID[p.id] = p
	s.stmts.textRoom -= len(p.text)
	s.answerPrepare(p)
}

func (s *Session) prepare(ctx context.Context, body []byte) (*prepared, error) {
	if len(s.stmts.byID) >= s.stmts.max {
		e := sqlerr.New(errMaxPrepared, "Can't create more than max_prepared_stmt_count statements (current value: %d)", s.stmts.max)
		e.State = "42000"
		return nil, e
	}
	if len(body) > s.stmts.textRoom {
		return nil, sqlerr.Refuse("another prepared statement", "the texts of this session's statements would take more than 64 MB", "close some")
	}
	s.stmts.nextID++
	p := &prepared{id: s.stmts.nextID, text: append([]byte(nil), body...), db: s.settings.db}
	if err := s.lexer.Fingerprint(p.text, s.settings.mode, &p.fp); err != nil {
		return nil, err
	}
	if more := scan(string(p.text[p.fp.End:]), s.settings.mode); len(more) > 0 {
		return nil, sqlerr.New(sqlerr.Parse, "You have an error in your SQL syntax: a prepared statement is one statement")
	}
	p.text = p.text[:p.fp.End]
	p.args = preparedArgs{textArgs: textArgs{text: p.text, literals: p.fp.Literals, mode: s.settings.mode}}
	for _, l := range p.fp.Literals {
		m := -1
		if l.Marker {
			m = p.params
			p.params++
		}
		p.args.marker = append(p.args.marker, m)
	}
	if p.own = ownVerb(p.fp.Verb); p.own {
		return p, nil
	}
	if err := s.planPrepared(p); err != nil {
		return nil, err
	}
	if p.plan.session {
		return p, nil
	}
	if err := s.access(p.plan); err != nil {
		return nil, err
	}
	return p, s.describe(ctx, p)
}

// ownVerb reports verbs that local answers, wholly or in part: such a
// statement is looked at when it is executed.
func ownVerb(verb string) bool {
	switch verb {
	case "SET", "USE", "BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "KILL", "SHOW",
		"EXPLAIN", "DESCRIBE", "DESC", "LOCK", "UNLOCK", "XA", "PREPARE", "EXECUTE", "DEALLOCATE", "HANDLER":
		return true
	}
	return false
}

func errOtherMode() error {
	return sqlerr.Refuse("executing a statement that was prepared in another sql_mode", "the servers would read it differently", "prepare it again")
}

// planPrepared plans the statement if what its plan depends on has changed.
func (s *Session) planPrepared(p *prepared) error {
	now := s.scope()
	if p.plan != nil && p.planned == now && !p.plan.own {
		s.finished.CacheHit = true
		return nil
	}
	if now.mode != p.planned.mode && p.plan != nil {
		// The text itself may read otherwise now. MySQL keeps the mode the
		// statement was prepared in; so does the fingerprint, but names in
		// the SQL sent would be read in the new one.
		return errOtherMode()
	}
	e, hit, err := s.plan(p.text, &p.fp)
	if err != nil {
		return err
	}
	s.finished.CacheHit = hit
	p.plan, p.planned = e, now
	return nil
}

// describe asks one server for the statement's columns: its prepared form is
// kept on that connection, where the first execution will want it.
func (s *Session) describe(ctx context.Context, p *prepared) error {
	task, ok := p.plan.plan.BindDescribe(&p.args)
	if !ok {
		columns, finished, err := executor.DescribeFinish(ctx, p.plan.plan, &p.args, s.deps.Limits.Finisher, s.describing(p.plan.plan))
		if finished {
			p.columns = columns
			return err
		}
		return s.describeOwn(p)
	}
	err := s.describeOn(ctx, p, &task)
	if txn.Broken(err) && !ended(err) && !s.doomed && !s.tx.Damaged() {
		err = s.describeOn(ctx, p, &task) // nothing was run: another connection will do
	}
	if err != nil && unknownName(err) && task.Target == topology.TargetReplica && p.plan.hints.Target != "replica" {
		task.Target = topology.TargetPrimary // the replica may be behind
		err = s.describeOn(ctx, p, &task)
	}
	return err
}

func (s *Session) describeOn(ctx context.Context, p *prepared, task *plan.Task) error {
	s.lease.prepare(p.plan.plan.NeedsDB)
	s.lease.describing = true
	conns, err := s.lease.Acquire(ctx, task.Cluster, task.Target, 1)
	if err != nil {
		return err
	}
	c := conns[0]
	st, err := c.Prepare(task.SQL)
	if err == nil {
		err = p.take(st, task.Rename)
	}
	if err != nil {
		err = s.renamed(err, task.Rename)
	}
	s.lease.Release(c, err)
	return err
}

// describeOwn describes what Serval answers without a server.
func (s *Session) describeOwn(p *prepared) error {
	c, ok := p.plan.plan.Root.(*plan.Const)
	if !ok {
		return nil
	}
	for _, name := range c.Columns {
		p.columns = append(p.columns, column{name: name}.definition())
	}
	return nil
}

// take copies the columns with logical names.
func (p *prepared) take(st *backend.Stmt, r *plan.Rename) error {
	for _, col := range st.Columns() {
		col = col.Clone()
		renameColumn(&col, r)
		p.columns = append(p.columns, col)
	}
	return nil
}

func renameColumn(col *wire.Column, r *plan.Rename) {
	if r == nil {
		return
	}
	if string(col.Schema) == r.Database {
		col.Schema = []byte(r.LogicalDatabase)
	}
	for _, t := range r.Tables {
		if string(col.OrgTable) == t.Physical {
			col.OrgTable = []byte(t.Logical)
		}
		if string(col.Table) == t.Physical {
			col.Table = []byte(t.Logical)
		}
	}
}

func (s *Session) renamed(err error, r *plan.Rename) error {
	e := *sqlerr.From(err)
	e.Message = renameIn(r, e.Code, e.Message)
	return &e
}

// answerPrepare writes the statement's id, parameters and columns.
func (s *Session) answerPrepare(p *prepared) {
	s.buf = wire.PrepareOK{StatementID: p.id, Columns: uint16(len(p.columns)), Params: uint16(p.params)}.Append(s.buf[:0])
	_ = s.out.Packet(s.buf)
	param := wire.Column{Name: []byte("?"), Charset: wire.CollationBinary, Type: wire.TypeVarString, Flags: wire.FlagBinary}
	for range p.params {
		s.buf = param.Append(s.buf[:0])
		_ = s.out.Packet(s.buf)
	}
	s.definitionsEnd(p.params)
	for i := range p.columns {
		s.buf = p.columns[i].Append(s.buf[:0])
		_ = s.out.Packet(s.buf)
	}
	s.definitionsEnd(len(p.columns))
}

func (s *Session) definitionsEnd(n int) {
	if n > 0 && s.c.Capabilities&wire.CapDeprecateEOF == 0 {
		s.buf = wire.AppendEOF(s.buf[:0], s.status(), 0)
		_ = s.out.Packet(s.buf)
	}
}

// executeCommand answers COM_STMT_EXECUTE.
func (s *Session) executeCommand(ctx context.Context, payload []byte) error {
	id, err := wire.StatementID(payload)
	if err != nil {
		return err
	}
	p := s.stmts.byID[id]
	if p == nil {
		s.fail(unknownStatement(id, "mysqld_stmt_execute"))
		return nil
	}
	if err := p.decoded.Decode(payload, p.params, p.long); err != nil {
		return err
	}
	defer s.dropLong(p)
	ctx = s.begin(ctx, "Execute", p.text)
	defer s.end()
	s.binary, s.more, s.finished = true, false, Finished{}
	start := time.Now()
	err = because(ctx, s.executePrepared(ctx, p))
	s.report(start, &p.fp, err)
	s.binary = false
	if err != nil {
		s.noteError(&p.fp, err)
		s.fail(err)
	}
	return nil
}

func (s *Session) executePrepared(ctx context.Context, p *prepared) error {
	if p.longErr != nil {
		return p.longErr
	}
	if err := p.args.bind(p.decoded.Params); err != nil {
		return err
	}
	if p.own {
		return s.executeText(ctx, p)
	}
	if now := s.settings.db; now != p.db {
		s.settings.use(p.db)
		defer func() { s.settings.use(now) }()
	}
	if err := s.awaitRules(ctx); err != nil {
		return err
	}
	if err := s.planPrepared(p); err != nil {
		return err
	}
	if p.plan.session {
		return s.executeText(ctx, p)
	}
	if waited, err := s.heldBack(ctx, p.plan); err != nil {
		return err
	} else if waited {
		return s.executePrepared(ctx, p)
	}
	if handled, err := s.executeLimited(ctx, p); handled || err != nil {
		return err
	}
	return s.dispatch(ctx, p.plan, &p.args, &p.args)
}

// executeText runs a statement that is the session's own, or asks for values of
// the session, with its parameters as literals. Rows a server gives come as
// text then, which is not what the client of a prepared statement reads; so
// only what Serval answers itself may have rows.
func (s *Session) executeText(ctx context.Context, p *prepared) error {
	text := s.withLiterals(p)
	var fp parser.Fingerprint
	if err := s.lexer.Fingerprint(text, s.settings.mode, &fp); err != nil {
		return err
	}
	handled, err := s.local(ctx, fp.Verb, text)
	if handled || err != nil {
		return err
	}
	put := string(text)
	tokens := scan(put, s.settings.mode)
	values := s.findSession(tokens)
	if len(values) > 0 {
		if s.answerSession(put, tokens, values) {
			return nil
		}
		put = splice(put, tokens, values)
	}
	// Without parameters of its own it goes through the binary protocol like
	// any prepared statement.
	q := prepared{text: []byte(put)}
	if err := s.lexer.Fingerprint(q.text, s.settings.mode, &q.fp); err != nil {
		return err
	}
	q.args = preparedArgs{textArgs: textArgs{text: q.text, literals: q.fp.Literals, mode: s.settings.mode}}
	for range q.fp.Literals {
		q.args.marker = append(q.args.marker, -1)
	}
	if q.plan, err = s.planSpliced(q.text, &q.fp); err != nil {
		return s.failed(ctx, err)
	}
	if waited, err := s.heldBack(ctx, q.plan); err != nil {
		return s.failed(ctx, err)
	} else if waited {
		return s.executeText(ctx, p)
	}
	return s.dispatch(ctx, q.plan, &q.args, &q.args)
}

// withLiterals writes the parameters into the text.
func (s *Session) withLiterals(p *prepared) []byte {
	args := literalArgs{&p.args, s.settings.mode&parser.NoBackslashEscapes != 0}
	var out []byte
	at := 0
	for i, l := range p.fp.Literals {
		if !l.Marker {
			continue
		}
		out = append(out, p.text[at:l.Start]...)
		out, _ = args.AppendSQL(out, i)
		at = l.End
	}
	return append(out, p.text[at:]...)
}

func unknownStatement(id uint32, where string) error {
	return sqlerr.New(sqlerr.UnknownStatement, "Unknown prepared statement handler (%d) given to %s", id, where)
}

// longDataCommand takes a piece of a parameter. It has no answer, so what is
// wrong with it is told at the execution.
func (s *Session) longDataCommand(payload []byte) error {
	id, param, data, err := wire.DecodeLongData(payload)
	if err != nil {
		return err
	}
	p := s.stmts.byID[id]
	switch {
	case p == nil:
		return nil // as MySQL: there is nobody to tell
	case int(param) >= p.params:
		p.longErr = sqlerr.New(sqlerr.WrongArguments, "Incorrect arguments to mysqld_stmt_send_long_data")
		return nil
	case len(data) > s.stmts.longRoom:
		p.longErr = sqlerr.New(sqlerr.PacketTooLarge, "Parameter of prepared statement which is set through mysql_send_long_data() is longer than the %d bytes a session may send", s.deps.Limits.MaxLongData)
		return nil
	}
	if p.long == nil {
		p.long = make([][]byte, p.params)
	}
	if p.long[param] == nil {
		p.long[param] = []byte{}
	}
	p.long[param] = append(p.long[param], data...)
	s.stmts.longRoom -= len(data)
	return nil
}

// dropLong forgets long data, which is good for one execution.
func (s *Session) dropLong(p *prepared) {
	for _, l := range p.long {
		s.stmts.longRoom += len(l)
	}
	p.long, p.longErr = nil, nil
}

func (s *Session) resetCommand(payload []byte) error {
	id, err := wire.StatementID(payload)
	if err != nil {
		return err
	}
	p := s.stmts.byID[id]
	if p == nil {
		s.fail(unknownStatement(id, "mysqld_stmt_reset"))
		return nil
	}
	s.dropLong(p)
	s.ok(wire.OK{})
	return nil
}

// closeCommand has no answer.
func (s *Session) closeCommand(payload []byte) error {
	id, err := wire.StatementID(payload)
	if err != nil {
		return err
	}
	if p := s.stmts.byID[id]; p != nil {
		s.dropLong(p)
		s.stmts.textRoom += len(p.text)
		delete(s.stmts.byID, id)
	}
	return nil
}
