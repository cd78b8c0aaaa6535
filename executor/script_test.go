package executor

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/mysqltest"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// scripted is a server that does what a statement's text says, steps divided
// by " / ":
//
//	ok affected=1 id=5 warn=1 gtid=g:1 info=Records: 1 …
//	rows a int,b text / 1|x / NULL|y
//	err 1062 Duplicate entry …
//	hangup, stall (says nothing until it is killed), more (another
//	result follows), flood (rows without end)
type scripted struct {
	t        testing.TB
	server   *mysqltest.Server
	mu       sync.Mutex
	prepared map[string]string // by session and statement id
	killed   map[uint32]chan struct{}
	united   string // what a statement put together of several does
}

func newScripted(t testing.TB) *scripted {
	s := &scripted{t: t, prepared: map[string]string{}, killed: map[uint32]chan struct{}{}}
	s.server = mysqltest.Start(t, s.handle)
	return s
}

func (s *scripted) handle(sess *mysqltest.Session, com byte, arg []byte) error {
	switch com {
	case wire.ComQuery:
		if id, ok := strings.CutPrefix(string(arg), "KILL QUERY "); ok {
			n, err := strconv.ParseUint(id, 10, 32)
			killed := s.kill(uint32(n))
			s.mu.Lock()
			defer s.mu.Unlock()
			select {
			case <-killed: // a kill is repeated until it has ended something
			default:
				close(killed)
			}
			sess.OK(wire.OK{})
			return err
		}
		return s.act(sess, string(arg), false)
	case wire.ComStmtPrepare:
		return s.prepare(sess, string(arg))
	case wire.ComStmtExecute:
		s.mu.Lock()
		sql := s.prepared[fmt.Sprint(sess.ID, binary.LittleEndian.Uint32(arg))]
		s.mu.Unlock()
		return s.act(sess, sql, true)
	}
	sess.Err(1047, "what?")
	return nil
}

// kill is closed when the session's statement is killed.
func (s *scripted) kill(id uint32) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.killed[id] == nil {
		s.killed[id] = make(chan struct{})
	}
	return s.killed[id]
}

func (s *scripted) prepare(sess *mysqltest.Session, sql string) error {
	if strings.HasPrefix(sql, "unprepared ") {
		sess.Err(1146, strings.TrimPrefix(sql, "unprepared "))
		return nil
	}
	s.mu.Lock()
	id := uint32(len(s.prepared) + 1)
	s.prepared[fmt.Sprint(sess.ID, id)] = sql
	s.mu.Unlock()
	params := strings.Count(sql, "?")
	p := wire.PrepareOK{StatementID: id, Params: uint16(params)}
	_ = sess.W.Packet(p.Append(nil))
	for range params {
		col := wire.Column{Name: []byte("?"), Type: wire.TypeVarString}
		_ = sess.W.Packet(col.Append(nil))
	}
	return nil
}

func (s *scripted) act(sess *mysqltest.Session, sql string, bin bool) error {
	var cols []wire.Column
	status := wire.StatusAutocommit
	if strings.HasPrefix(sql, "(") {
		sql = s.united
	}
	for _, step := range strings.Split(sql, " / ") {
		word, rest, _ := strings.Cut(step, " ")
		switch word {
		case "ok":
			ok := scriptedOK(s.t, rest)
			ok.Status = status
			sess.OK(ok)
			return nil
		case "rows":
			cols = scriptedColumns(rest)
			_ = sess.W.Packet(wire.AppendLenEncInt(nil, uint64(len(cols))))
			for i := range cols {
				_ = sess.W.Packet(cols[i].Append(nil))
			}
		case "more":
			sess.Done(wire.OK{Status: status | wire.StatusMoreResults})
			cols = nil
		case "err":
			code, msg, _ := strings.Cut(rest, " ")
			n, err := strconv.Atoi(code)
			require.NoError(s.t, err)
			sess.Err(uint16(n), msg)
			return nil
		case "hangup":
			sess.Flush()
			return mysqltest.ErrHangUp
		case "stall":
			sess.Flush()
			select {
			case <-s.kill(sess.ID):
				sess.Err(sqlerr.QueryInterrupted, "Query execution was interrupted")
				return nil
			case <-time.After(10 * time.Second):
				return mysqltest.ErrHangUp
			}
		case "flood":
			for sess.W.Packet(scriptedRow(cols, "1", bin)) == nil {
			}
			return mysqltest.ErrHangUp
		case "intrans":
			status |= wire.StatusInTrans
		case "warn":
			ok := wire.OK{Status: status}
			fmt.Sscan(rest, &ok.Warnings)
			sess.Done(ok)
			return nil
		default:
			_ = sess.W.Packet(scriptedRow(cols, step, bin))
		}
	}
	if cols != nil {
		sess.Done(wire.OK{Status: status})
	}
	return nil
}

func scriptedOK(t testing.TB, text string) wire.OK {
	var ok wire.OK
	before, info, _ := strings.Cut(text, "info=")
	ok.Info = []byte(info)
	for _, f := range strings.Fields(before) {
		k, v, _ := strings.Cut(f, "=")
		n, _ := strconv.ParseUint(v, 10, 64)
		switch k {
		case "affected":
			ok.AffectedRows = n
		case "id":
			ok.LastInsertID = n
		case "warn":
			ok.Warnings = uint16(n)
		case "gtid":
			ok.Tracked.GTIDs = v
		default:
			t.Errorf("ok %s?", f)
		}
	}
	return ok
}

func scriptedColumns(defs string) []wire.Column {
	var cols []wire.Column
	for _, def := range strings.Split(defs, ",") {
		name, typ, _ := strings.Cut(def, " ")
		c := wire.Column{Schema: []byte("shop_0"), Table: []byte("users"), OrgTable: []byte("users"), Name: []byte(name),
			Type: wire.TypeLongLong, Charset: wire.CollationBinary}
		if typ == "text" {
			c.Type, c.Charset = wire.TypeVarString, wire.CollationUTF8MB4General
		}
		cols = append(cols, c)
	}
	return cols
}

// scriptedRow encodes "1|x".
func scriptedRow(cols []wire.Column, line string, bin bool) []byte {
	values := strings.Split(line, "|")
	var row []byte
	if bin {
		row = make([]byte, 1+(len(cols)+9)/8)
	}
	for i, v := range values {
		n, err := strconv.ParseInt(v, 10, 64)
		switch {
		case v == "NULL" && bin:
			row[1+(i+2)/8] |= 1 << ((i + 2) % 8)
		case v == "NULL":
			row = append(row, 0xfb)
		case bin && err == nil && i < len(cols) && cols[i].Type == wire.TypeLongLong:
			row = binary.LittleEndian.AppendUint64(row, uint64(n))
		default:
			row = wire.AppendLenEncString(row, v)
		}
	}
	return row
}

// scriptedConns dials scripted servers and notes how each connection ended.
type scriptedConns struct {
	t       testing.TB
	servers map[string]*scripted
	// most bounds the connections to one cluster; 0 is as many as asked for.
	most  int
	fails string // a cluster that can't be reached
	// statements bounds a connection's prepared statements; 0 is the default.
	statements int

	out   map[*backend.Conn]heldConn
	log   []string
	order []string // clusters as they were acquired
}

type heldConn struct {
	cluster string
	disarm  func()
}

func newScriptedConns(t testing.TB, clusters ...string) *scriptedConns {
	c := &scriptedConns{t: t, servers: map[string]*scripted{}, out: map[*backend.Conn]heldConn{}}
	for _, name := range clusters {
		c.servers[name] = newScripted(t)
	}
	return c
}

func (s *scriptedConns) Acquire(ctx context.Context, cluster string, target topology.Target, n int) ([]*backend.Conn, error) {
	s.order = append(s.order, cluster+" "+target.String())
	if s.fails == cluster {
		return nil, sqlerr.New(sqlerr.CannotConnect, "no server of cluster %s can be reached", cluster).Retryable()
	}
	if s.most > 0 {
		n = min(n, s.most)
	}
	var conns []*backend.Conn
	for range n {
		c, err := backend.Dial(context.Background(), s.servers[cluster].server.Addr, backend.Config{User: "u", MaxStatements: s.statements}, false)
		require.NoError(s.t, err)
		s.out[c] = heldConn{cluster, c.Arm(ctx)}
		conns = append(conns, c)
	}
	return conns, nil
}

func (s *scriptedConns) Release(c *backend.Conn, err error) {
	h, ok := s.out[c]
	require.True(s.t, ok, "released twice")
	delete(s.out, c)
	h.disarm()
	var e *sqlerr.Error
	how := "clean"
	switch {
	case err != nil && !c.Usable():
		// Whether the time or the bytes to drain it were up first is the
		// machine's load to say.
		how = "given up"
	case errors.As(err, &e):
		how = "after error"
	case err != nil:
		how = err.Error()
	}
	s.log = append(s.log, h.cluster+" "+how)
	c.Discard()
}

// done checks that everything was released, and prints how.
func (s *scriptedConns) done() string {
	require.Empty(s.t, s.out, "connections were not released")
	sort.Strings(s.log)
	return strings.Join(s.log, ", ")
}

// scriptedParams are parameters whose value is their number.
type scriptedParams struct{}

func (scriptedParams) Param(i int) wire.Param {
	return wire.Param{Type: wire.TypeVarString, Value: []byte(strconv.Itoa(i))}
}

// clientView reads what a client was sent.
func clientView(t testing.TB, b []byte, bin, eof bool) string {
	if len(b) == 0 {
		return ""
	}
	r := wire.NewReader(bytes.NewReader(b), 64<<20)
	first, err := r.Packet()
	require.NoError(t, err)
	n, _ := wire.LenEncInt(first)
	cols := make([]wire.Column, n)
	var out strings.Builder
	for i := range cols {
		p, err := r.Packet()
		require.NoError(t, err)
		c, err := wire.DecodeColumn(p)
		require.NoError(t, err)
		cols[i] = c.Clone()
		fmt.Fprintf(&out, "%s%s.%s.%s", map[bool]string{true: ", "}[i > 0], c.Schema, c.OrgTable, c.Name)
	}
	out.WriteByte('\n')
	if eof {
		p, err := r.Packet()
		require.NoError(t, err)
		require.True(t, wire.IsEOF(p))
	}
	for {
		p, err := r.Packet()
		if errors.Is(err, io.EOF) {
			return out.String()
		}
		require.NoError(t, err)
		if len(p) > 9 && string(p[:9]) == "EndOfRes:" {
			out.Write(p)
			out.WriteByte('\n')
			if rest := b[len(b)-r.Buffered():]; len(rest) > 0 {
				out.WriteString(clientView(t, renumber(rest), bin, eof))
			}
			return out.String()
		}
		out.WriteString(showScripted(cols, p, bin) + "\n")
	}
}

// renumber makes a stream of frames start at 0.
func renumber(b []byte) []byte {
	b = append([]byte(nil), b...)
	for at, seq := 0, byte(0); at < len(b); seq++ {
		b[at+3] = seq
		at += 4 + (int(b[at]) | int(b[at+1])<<8 | int(b[at+2])<<16)
	}
	return b
}

func showScripted(cols []wire.Column, p []byte, bin bool) string {
	values := make([]string, len(cols))
	at, bitmap := 0, []byte(nil)
	if bin {
		at = 1 + (len(cols)+9)/8
		bitmap = p[1:at]
	}
	for i := range cols {
		switch {
		case bin && bitmap[(i+2)/8]&(1<<((i+2)%8)) != 0:
			values[i] = "NULL"
		case bin && cols[i].Type == wire.TypeLongLong:
			values[i] = strconv.FormatInt(int64(binary.LittleEndian.Uint64(p[at:])), 10)
			at += 8
		case !bin && p[at] == 0xfb:
			values[i] = "NULL"
			at++
		default:
			n, used := wire.LenEncInt(p[at:])
			values[i] = string(p[at+used : at+used+int(n)])
			at += used + int(n)
		}
	}
	return strings.Join(values, "|")
}

func oneTask(cluster, sql string) plan.Task {
	return plan.Task{Cluster: cluster, SQL: []byte(sql)}
}
