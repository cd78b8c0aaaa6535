// Package mysqltest is a MySQL server for tests: it logs anybody in and
// answers with whatever bytes the test wants, broken ones included.
package mysqltest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// Caps are the capabilities the server offers and takes for granted.
const Caps = wire.CapLongPassword | wire.CapFoundRows | wire.CapLongFlag | wire.CapConnectWithDB | wire.CapProtocol41 |
	wire.CapTransactions | wire.CapSecureConnection | wire.CapMultiResults | wire.CapPSMultiResults |
	wire.CapPluginAuth | wire.CapConnectAttrs | wire.CapSessionTrack | wire.CapDeprecateEOF

// Handler answers one command of a logged-in session. com is its first byte,
// arg the rest, valid during the call. Returning an error closes the connection.
type Handler func(s *Session, com byte, arg []byte) error

// ErrHangUp closes the connection without another word.
var ErrHangUp = errors.New("hang up")

// Server listens on a port of its own until the test ends.
type Server struct {
	Addr string

	handler Handler
	ln      net.Listener
	wg      sync.WaitGroup

	mu struct {
		sync.Mutex
		conns    map[net.Conn]bool
		nextID   uint32
		log      []string
		readOnly bool
		version  string
	}
}

// Start starts a server that answers with h. Serval's own init statement, the
// read_only question and KILL are answered by itself: h sees the rest.
func Start(t testing.TB, h Handler) *Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: ln.Addr().String(), handler: h, ln: ln}
	s.mu.conns, s.mu.version = map[net.Conn]bool{}, "9.7.0-fake"
	s.wg.Add(1)
	go s.accept()
	t.Cleanup(s.Close)
	return s
}

// Close ends it as kill -9 would, and waits.
func (s *Server) Close() {
	_ = s.ln.Close()
	s.HangUpAll()
	s.wg.Wait()
}

// StopListening takes no more connections; those there are stay.
func (s *Server) StopListening() { _ = s.ln.Close() }

// HangUpAll closes every connection; new ones are taken.
func (s *Server) HangUpAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for nc := range s.mu.conns {
		_ = nc.Close()
	}
}

// SetVersion is what later logins are greeted with.
func (s *Server) SetVersion(v string) {
	s.mu.Lock()
	s.mu.version = v
	s.mu.Unlock()
}

// SetReadOnly is what the server answers when asked for @@global.read_only.
func (s *Server) SetReadOnly(v bool) {
	s.mu.Lock()
	s.mu.readOnly = v
	s.mu.Unlock()
}

// Log is every command so far: "query SELECT 1", "init-db shop", "kill 3", …
func (s *Server) Log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.mu.log...)
}

// Logins is how many sessions were opened.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.mu.nextID)
}

func (s *Server) accept() {
	defer s.wg.Done()
	for {
		nc, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.mu.nextID++
		id := s.mu.nextID
		s.mu.conns[nc] = true
		s.mu.Unlock()
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			sess := &Session{ID: id, Server: s, Conn: nc, R: wire.NewReader(nc, 64<<20), W: wire.NewWriter(nc)}
			_ = sess.serve()
			_ = nc.Close()
			s.mu.Lock()
			delete(s.mu.conns, nc)
			s.mu.Unlock()
		}()
	}
}

func (s *Server) note(com byte, arg []byte) {
	names := map[byte]string{wire.ComQuery: "query", wire.ComInitDB: "init-db", wire.ComStmtPrepare: "prepare",
		wire.ComStmtExecute: "execute", wire.ComStmtClose: "close", wire.ComQuit: "quit", wire.ComPing: "ping"}
	text := names[com]
	if com == wire.ComQuery || com == wire.ComInitDB || com == wire.ComStmtPrepare {
		text += " " + string(arg)
	}
	if com == wire.ComStmtExecute || com == wire.ComStmtClose {
		text += " " + string('0'+arg[0])
	}
	s.mu.Lock()
	s.mu.log = append(s.mu.log, text)
	s.mu.Unlock()
}

// Session is one connection; its methods write one packet each, sent when the
// handler returns or Flush is called.
type Session struct {
	ID     uint32
	Server *Server
	Conn   net.Conn
	R      *wire.Reader
	W      *wire.Writer
	buf    []byte
}

func (s *Session) serve() error {
	if err := s.login(); err != nil {
		return err
	}
	for {
		s.R.SetSeq(0)
		p, err := s.R.Packet()
		if err != nil || len(p) == 0 || p[0] == wire.ComQuit {
			return err
		}
		s.W.SetSeq(1)
		s.Server.note(p[0], p[1:])
		if err := s.answer(p[0], p[1:]); err != nil {
			return err
		}
		if err := s.W.Flush(); err != nil {
			return err
		}
	}
}

func (s *Session) answer(com byte, arg []byte) error {
	text := string(arg)
	switch {
	case com == wire.ComQuery && strings.HasPrefix(text, "SET session_track_system_variables="):
		s.OK(wire.OK{Status: wire.StatusAutocommit, Tracked: wire.Tracked{
			Vars: []wire.TrackedVar{{Name: "net_read_timeout", Value: "600"}}, StateChanged: true}})
		return nil
	case com == wire.ComQuery && strings.HasPrefix(text, "SET SESSION xa_detach_on_prepare"):
		s.OK(wire.OK{Status: wire.StatusAutocommit, Tracked: wire.Tracked{
			Vars: []wire.TrackedVar{{Name: "xa_detach_on_prepare", Value: "OFF"}}, StateChanged: true}})
		return nil
	case com == wire.ComQuery && strings.HasPrefix(text, "KILL"), com == wire.ComQuery && text == "ROLLBACK":
		s.OK(wire.OK{Status: wire.StatusAutocommit})
		if !strings.HasPrefix(text, "KILL") {
			return nil
		}
	case com == wire.ComQuery && text == "SELECT @@global.read_only":
		s.Server.mu.Lock()
		v := "0"
		if s.Server.mu.readOnly {
			v = "1"
		}
		s.Server.mu.Unlock()
		s.Result([]string{"@@global.read_only"}, []string{v})
		return nil
	case com == wire.ComStmtClose:
		return nil
	}
	return s.Server.handler(s, com, arg)
}

// login sends a handshake and says OK to whatever comes back.
func (s *Session) login() error {
	s.Server.mu.Lock()
	b := append([]byte{10}, s.Server.mu.version...)
	s.Server.mu.Unlock()
	b = append(b, 0)
	b = binary.LittleEndian.AppendUint32(b, s.ID)
	b = append(b, "saltsalt"...)
	b = append(b, 0)
	caps := Caps
	b = binary.LittleEndian.AppendUint16(b, uint16(caps))
	b = append(b, byte(wire.CollationUTF8MB4General), 2, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(caps>>16))
	b = append(b, 21)
	b = append(b, make([]byte, 10)...)
	b = append(b, "saltsaltsalt\x00mysql_native_password\x00"...)
	if err := s.W.Packet(b); err != nil {
		return err
	}
	if err := s.W.Flush(); err != nil {
		return err
	}
	s.R.SetSeq(1)
	if _, err := s.R.Packet(); err != nil {
		return err
	}
	s.W.SetSeq(2)
	s.OK(wire.OK{Status: wire.StatusAutocommit})
	return s.W.Flush()
}

// OK writes an OK packet; Status is taken as given.
func (s *Session) OK(ok wire.OK) {
	s.buf = ok.Append(s.buf[:0], Caps, wire.HeaderOK)
	_ = s.W.Packet(s.buf)
}

// Done writes the OK that ends a result set.
func (s *Session) Done(ok wire.OK) {
	s.buf = ok.AppendEnd(s.buf[:0], Caps)
	_ = s.W.Packet(s.buf)
}

// Err writes an ERR packet.
func (s *Session) Err(code uint16, message string) {
	s.buf = wire.AppendErr(s.buf[:0], sqlerr.New(code, "%s", message))
	_ = s.W.Packet(s.buf)
}

// Columns begins a result set of text columns.
func (s *Session) Columns(names ...string) {
	_ = s.W.Packet(wire.AppendLenEncInt(nil, uint64(len(names))))
	for _, n := range names {
		col := wire.Column{Name: []byte(n), OrgName: []byte(n), Table: []byte("t"), Type: wire.TypeVarString, Charset: 45, Length: 80}
		s.buf = col.Append(s.buf[:0])
		_ = s.W.Packet(s.buf)
	}
}

// Row writes a text row.
func (s *Session) Row(values ...string) {
	s.buf = s.buf[:0]
	for _, v := range values {
		s.buf = wire.AppendLenEncString(s.buf, v)
	}
	_ = s.W.Packet(s.buf)
}

// Result writes a whole result set.
func (s *Session) Result(columns []string, rows ...[]string) {
	s.Columns(columns...)
	for _, r := range rows {
		s.Row(r...)
	}
	s.Done(wire.OK{Status: wire.StatusAutocommit})
}

// Raw sends bytes as they are, header and all.
func (s *Session) Raw(b []byte) {
	_ = s.W.Flush()
	_, _ = s.Conn.Write(b)
}

// Flush sends what was written so far.
func (s *Session) Flush() { _ = s.W.Flush() }

// WaitClosed waits until the other side hangs up.
func (s *Session) WaitClosed() { _, _ = io.Copy(io.Discard, s.Conn) }
