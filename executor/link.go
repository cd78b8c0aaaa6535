package executor

import (
	"errors"
	"io"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor/merge"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// pipelineBytes bounds the statements sent ahead on one connection: a server
// that can't get rid of an answer doesn't read, and what it doesn't read must
// fit in socket buffers, or both sides would wait for each other.
const pipelineBytes = 64 << 10

// link is one connection and the tasks that run on it, in turn.
type link struct {
	fan     *fan
	conn    *backend.Conn
	cluster string
	parts   []*part
	ready   int // parts[sent:ready] are prepared, where they must be
	sent    int // parts[:sent] were sent
	read    int // parts[:read] are answered to the end
	err     error
}

// partState is how far a part's answer has been read.
type partState uint8

const (
	partWaiting partState = iota // nothing was read
	partRows                     // rows come
	partDone                     // its end, or an error, was read
)

// part is one task and its answer.
type part struct {
	link  *link
	task  *plan.Task
	state partState
	// stmt is its prepared statement, while link.ready says so.
	stmt   *backend.Stmt
	header backend.Header
	ok     wire.OK // the closing OK, when done without err
	err    error
	// spool has rows read ahead because another part of the connection was
	// wanted first.
	spool   [][]byte
	spooled bool
	last    []byte    // the spooled row given last
	chunk   []byte    // where spooled rows are copied to
	bytes   int       // of the rows read
	rows    int64     // read, where it is measured
	ended   time.Time // where it is measured
}

// preparedAhead bounds the prepared statements sent at once on a connection,
// far below what its cache holds.
const preparedAhead = 16

// prepare prepares the parts to be sent next. Nothing may be outstanding.
func (l *link) prepare() (*part, error) {
	if l.fan.req.Params == nil || l.ready > l.sent {
		return nil, nil
	}
	batch := l.parts[l.sent:min(len(l.parts), l.sent+preparedAhead)]
	for _, p := range batch {
		if err := p.prepare(); err != nil {
			return p, err
		}
	}
	if len(batch) > 1 && !kept(batch) {
		batch = batch[:1]
		if err := batch[0].prepare(); err != nil {
			return batch[0], err
		}
	}
	l.ready = l.sent + len(batch)
	return nil, nil
}

func (p *part) prepare() error {
	var err error
	var few [8]wire.Param
	p.stmt, err = p.link.conn.PrepareFor(p.task.SQL, paramsOf(p.task, p.link.fan.req, few[:0]))
	return err
}

// kept reports that all of the batch are still prepared: preparing one may
// drop another from the connection's cache, finding one there drops none.
func kept(batch []*part) bool {
	for _, p := range batch {
		was := p.stmt
		if p.prepare() != nil || p.stmt != was {
			return false
		}
	}
	return true
}

// send sends as many parts as may be outstanding at once. Nothing may be
// outstanding.
func (l *link) send() {
	if l.inTurn() && goesNoFurther(l.err) {
		for l.sent < len(l.parts) {
			l.sent++
			l.parts[l.sent-1].fail(l.err)
		}
		return
	}
	for l.sent < len(l.parts) {
		p, err := l.prepare()
		if next := l.parts[l.sent]; err != nil && p != next {
			// Those before p run first; p's error comes in its turn.
			if p, err = next, next.prepare(); err == nil {
				l.ready = l.sent + 1
			}
		}
		if err == nil {
			break
		}
		l.sent++
		p.fail(err)
	}
	from := l.sent
	l.queue()
	if l.sent == from {
		return
	}
	if err := l.conn.Flush(); err != nil {
		for _, p := range l.parts[from:l.sent] {
			p.fail(err)
		}
	}
}

// queue queues parts up to the bound of bytes.
func (l *link) queue() {
	req, from, bytes := l.fan.req, l.sent, 0
	for l.sent < len(l.parts) {
		p := l.parts[l.sent]
		if req.Params != nil && l.sent >= l.ready || l.sent > from && (req.Warned != nil || l.inTurn()) {
			return
		}
		if bytes += p.size(req); bytes > pipelineBytes && l.sent > from {
			return
		}
		switch {
		case req.Params != nil:
			var few [8]wire.Param
			l.conn.Execute(p.stmt, paramsOf(p.task, req, few[:0]))
		case l.fan.often:
			l.conn.Query(l.conn.Often(p.task.SQL))
		default:
			l.conn.Query(p.task.SQL)
		}
		l.sent++
	}
}

// inTurn: each statement is sent when the one before it has gone well. A server ends
// the whole transaction of a deadlock's victim, and what was sent behind that would be
// done in none, for good.
func (l *link) inTurn() bool { return !l.fan.req.Bound.Plan.ReadOnly }

// goesNoFurther: behind the error the server may be in no transaction any more, or the
// statement was killed, and nobody would kill what is sent behind.
func goesNoFurther(err error) bool {
	if err == nil {
		return false
	}
	code := sqlerr.From(err).Code
	return sqlerr.MayEndTransaction(err) || code == sqlerr.QueryInterrupted || code == sqlerr.QueryTimeout
}

// size is about how many bytes the part's command has.
func (p *part) size(req *Request) int {
	if req.Params == nil {
		return len(p.task.SQL)
	}
	n := 0
	for _, i := range p.task.Markers {
		n += len(req.Params.Param(i).Value)
	}
	return n
}

// turn reads ahead until p's answer is the connection's next.
func (l *link) turn(p *part) error {
	for l.read < len(l.parts) {
		next := l.parts[l.read]
		if next == p {
			if l.sent == l.read {
				l.send()
			}
			return nil
		}
		if err := next.readAhead(); err != nil {
			return err
		}
	}
	return nil
}

// fail ends the part with an error.
func (p *part) fail(err error) {
	p.link.err = err
	p.err = rowOfStatement(p.link.fan.req.Bound, p.task.Shard, renameError(err, p.task.Rename))
	p.done()
}

func (p *part) done() {
	p.state = partDone
	if p.link.fan.req.Measured != nil {
		p.ended = time.Now()
	}
	for l := p.link; l.read < len(l.parts) && l.parts[l.read].state == partDone; {
		l.read++
	}
}

// begin reads the beginning of the answer.
func (p *part) begin() error {
	if p.state == partWaiting {
		if err := p.link.turn(p); err != nil {
			return err
		}
	}
	if p.state != partWaiting {
		return p.err
	}
	h, err := p.link.conn.Header()
	if err != nil {
		p.fail(err)
		return p.err
	}
	if p.header = h; h.Columns == nil {
		p.finish(h.OK)
		return p.err
	}
	p.state = partRows
	if p.task.Rename != nil {
		names := columnNames{rename: p.task.Rename}
		for i := range h.Columns {
			names.undo(&h.Columns[i])
		}
	}
	return nil
}

// finish takes the closing OK.
func (p *part) finish(ok wire.OK) {
	if ok.Status&wire.StatusMoreResults != 0 {
		p.fail(errSeveralResults())
		return
	}
	p.ok = ok
	p.ok.Info = append([]byte(nil), ok.Info...) // it borrows from the read buffer
	if f := p.link.fan; ok.Warnings > 0 && f.req.Warned != nil && (p == f.parts[0] || !plan.Copies(f.root)) {
		f.req.Warned(p.link.conn, p.task)
	}
	p.done()
}

// row is the next row from the connection.
func (p *part) row() ([]byte, error) {
	if p.state == partDone {
		if p.err != nil {
			return nil, p.err
		}
		return nil, io.EOF
	}
	row, err := p.link.conn.Row()
	switch {
	case err == nil:
		p.bytes += len(row)
		p.rows++
		return row, nil
	case errors.Is(err, io.EOF):
		if p.finish(p.link.conn.End()); p.err == nil {
			return nil, io.EOF
		}
	default:
		p.fail(err)
	}
	return nil, p.err
}

// spoolChunk is what is allocated at once for rows read ahead, in bytes.
// spoolRows is for how many of them there is room at first.
const (
	spoolChunk = 4 << 10
	spoolRows  = 32
)

// rowOverhead is what a spooled row costs beside its bytes.
const rowOverhead = 40

// readAhead reads the rest of the answer into memory, so that the answer
// behind it on the connection can be had. Only a full budget is its error; the
// answer's own comes when it is asked for.
func (p *part) readAhead() error {
	if p.begin() != nil {
		return nil //nolint:nilerr // it is kept and comes when the answer is asked for
	}
	p.spooled = true
	if p.spool == nil {
		p.spool = make([][]byte, 0, spoolRows)
	}
	what := "merging the shards of cluster " + p.link.cluster + " over one connection, as a transaction does,"
	for {
		row, err := p.row()
		if err != nil {
			return nil //nolint:nilerr // it is kept and comes when the answer is asked for
		}
		if err := p.link.fan.budget.Take(len(row)+rowOverhead, what); err != nil {
			return err
		}
		if cap(p.chunk)-len(p.chunk) < len(row) {
			p.chunk = make([]byte, 0, max(spoolChunk, len(row)))
		}
		at := len(p.chunk)
		p.chunk = append(p.chunk, row...)
		p.spool = append(p.spool, p.chunk[at:])
	}
}

// discard reads the rest of the answer and forgets it; bytes and rows bound
// how much, less than 0 for no bound. It reports whether the end was reached.
func (p *part) discard(bound *int) bool {
	if p.begin() != nil {
		return true
	}
	for p.state == partRows {
		row, err := p.row()
		if err != nil {
			return true
		}
		if *bound >= 0 {
			if *bound -= len(row) + rowOverhead; *bound < 0 {
				*bound = 0
				return false
			}
		}
	}
	return true
}

// partReader is a part as a stream for merge.
type partReader struct {
	p *part
	// columns is how many there must be, 0 for any.
	columns int
}

var _ merge.Rows = partReader{}

func (r partReader) Open() ([]wire.Column, error) {
	if err := r.p.begin(); err != nil {
		return nil, err
	}
	if r.p.header.Columns == nil {
		return nil, sqlerr.New(sqlerr.UnknownError, "shard %d of cluster %s answered without rows where rows are merged",
			r.p.task.Shard, r.p.task.Cluster)
	}
	if n := len(r.p.header.Columns); r.columns > 0 && n != r.columns {
		return nil, sqlerr.New(sqlerr.UnknownError, "shard %d of cluster %s answered with %d columns where the plan has %d: "+
			"the table was changed behind Serval's back; run the statement again", r.p.task.Shard, r.p.task.Cluster, n, r.columns)
	}
	return r.p.header.Columns, nil
}

func (r partReader) Next() ([]byte, error) {
	p := r.p
	if !p.spooled {
		return p.row()
	}
	if p.last != nil {
		p.link.fan.budget.Give(len(p.last)+rowOverhead, 1)
		p.last = nil
	}
	if len(p.spool) > 0 {
		p.last = p.spool[0]
		p.spool[0], p.spool = nil, p.spool[1:]
		return p.last, nil
	}
	return p.row()
}
