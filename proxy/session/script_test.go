package session

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/mysqltest"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSessions plays the scripts of testdata: what the client sends (client>),
// what reaches the two servers (s0>, s1>), what the client gets (client<).
func TestSessions(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			w := newWorld(t, d)
			defer w.close()
			for line := range strings.SplitSeq(d.Input, "\n") {
				w.run(line)
			}
			return w.out.String()
		})
	})
}

// scriptCaps are the client's, unless the case says otherwise.
const scriptCaps = wire.CapProtocol41 | wire.CapDeprecateEOF | wire.CapTransactions | wire.CapMultiStatements | wire.CapMultiResults

// world is one session between a scripted client and two scripted servers.
type world struct {
	t        *testing.T
	out      strings.Builder
	servers  [2]*mysqltest.Server
	shown    [2]int
	fleet    *backend.Fleet
	store    *catalog.Store
	registry *Registry
	conn     net.Conn
	in       *wire.Reader
	to       *wire.Writer
	caps     uint32
	draining chan struct{}
	served   chan error
	stmts    map[string]uint32

	mu    sync.Mutex
	rules []rule // guarded by mu
}

// rule is what a server answers to a statement that begins with text.
type rule struct {
	server int
	text   string
	answer string
	once   bool
}

func newWorld(t *testing.T, d *datadriven.TestData) *world {
	w := &world{t: t, registry: NewRegistry(), caps: scriptCaps, draining: make(chan struct{}), served: make(chan error, 1), stmts: map[string]uint32{}}
	if d.HasArg("eof") {
		w.caps &^= wire.CapDeprecateEOF
	}
	if d.HasArg("single") {
		w.caps &^= wire.CapMultiStatements
	}
	var clusters []backend.ClusterConfig
	view := &topology.View{Clusters: map[string]*topology.ClusterView{}}
	for i := range w.servers {
		w.servers[i] = mysqltest.Start(t, w.handler(i))
		name := "c" + strconv.Itoa(i)
		in := topology.Instance{Addr: w.servers[i].Addr, Weight: 1}
		clusters = append(clusters, backend.ClusterConfig{
			Cluster: topology.Cluster{Name: name, Primary: in.Addr, Instances: []topology.Instance{in}}, Config: backend.Config{User: "u"},
		})
		view.Clusters[name] = &topology.ClusterView{Name: name, Primary: in.Addr, Instances: []topology.InstanceView{{Instance: in, Role: topology.RolePrimary, Up: true}}}
	}
	w.fleet = backend.NewFleet(backend.FleetConfig{Clusters: clusters, HoldTimeout: time.Second})
	w.fleet.Publish(view)
	user := &catalog.User{Name: "app"}
	if d.HasArg("read_only") {
		user = &catalog.User{Name: "report", Schemas: []string{"shop"}, ReadOnly: true}
	}
	store := catalog.NewStore(scriptCatalog(t))
	w.store = store
	deps := Deps{
		Catalog: store, Plans: NewPlans(100), Fleet: w.fleet, Weights: NewWeights(), Registry: w.registry,
		Coordinator: coordinator{}, Limits: Limits{MaxPacket: 1 << 20, MaxStatements: 2, MaxLongData: 100},
	}
	server, client := net.Pipe()
	w.conn, w.in, w.to = client, wire.NewReader(client, 1<<20), wire.NewWriter(client)
	s := New(deps, &Client{
		ID: 7, Conn: server, Reader: wire.NewReader(server, 1<<20), Writer: wire.NewWriter(server), Capabilities: w.caps,
		User: user, Schema: "shop", Collation: 45, Remote: "127.0.0.1:9", Draining: w.draining,
	})
	go func() { w.served <- s.Serve(context.Background()) }()
	return w
}

// coordinator gives every transaction the same name.
type coordinator struct{}

func (coordinator) Name() string { return "serval:t:1" }
func (coordinator) Decided(context.Context, string, string) (bool, error) {
	return false, errors.New("nobody knows")
}
func (coordinator) Finish(context.Context, string, string) error { return errors.New("not there") }
func (coordinator) Ended(string, string, bool, []txn.Branch)     {}
func (coordinator) Meter() txn.Meter                             { return nil }

func (w *world) close() {
	_ = w.conn.Close()
	if w.served != nil {
		<-w.served
	}
	require.Zero(w.t, w.registry.Len())
	w.fleet.Close()
	for _, s := range w.servers {
		s.Close()
	}
}

// scriptCatalog: users is sharded over s0 (shards 0, 1) and s1 (2, 3).
func scriptCatalog(t testing.TB) *catalog.Catalog {
	h, err := shardrule.NewHash(4)
	require.NoError(t, err)
	id := shardrule.Column{Name: "id", Type: shardrule.TypeInt, Bits: 64, SQLType: "bigint"}
	p := &shardrule.Placement{Schema: "shop", Table: "users", Kind: shardrule.Sharded, Algorithm: h, Column: id}
	for i := range 4 {
		p.Shards = append(p.Shards, topology.Shard{Index: i, Cluster: "c" + strconv.Itoa(i/2), Database: "shop_0" + strconv.Itoa(i), Table: "users"})
	}
	return &catalog.Catalog{
		Home: "c0", Clusters: map[string]*topology.Cluster{"c0": {Name: "c0"}, "c1": {Name: "c1"}},
		Schemas: map[string]*catalog.Schema{"shop": {Name: "shop", Home: "c0", Tables: map[string]*catalog.Table{
			"users": {Name: "users", Placement: p, PrimaryKey: []string{"id"}, Columns: []catalog.Column{
				{Column: id}, {Column: shardrule.Column{Name: "name", Type: shardrule.TypeText, Collation: "utf8mb4_general_ci", PadSpace: true}},
			}},
		}}},
	}
}

// handler answers as the rules say, else OK, and one row to a SELECT.
func (w *world) handler(server int) mysqltest.Handler {
	inTx := map[uint32]bool{}
	var mu sync.Mutex
	return func(s *mysqltest.Session, com byte, arg []byte) error {
		text := string(arg)
		mu.Lock()
		switch {
		case com == wire.ComQuery && (text == "BEGIN" || strings.HasPrefix(text, "START") || strings.HasPrefix(text, "XA START")):
			inTx[s.ID] = true
		case com == wire.ComQuery && (text == "COMMIT" || strings.HasPrefix(text, "XA PREPARE") || strings.HasPrefix(text, "XA ROLLBACK")):
			inTx[s.ID] = false
		}
		status := wire.StatusAutocommit
		if inTx[s.ID] {
			status |= wire.StatusInTrans
		}
		mu.Unlock()
		if com == wire.ComInitDB {
			s.OK(wire.OK{Status: status})
			return nil
		}
		answer := w.answer(server, text)
		if com == wire.ComStmtPrepare {
			if w.answer(server, "prepare "+text) == "hangup" {
				return mysqltest.ErrHangUp
			}
			return answerPrepare(s, text)
		}
		if com == wire.ComStmtExecute {
			s.OK(wire.OK{Status: status, AffectedRows: 1})
			return nil
		}
		return play(s, answer, text, status)
	}
}

func answerPrepare(s *mysqltest.Session, text string) error {
	n := strings.Count(text, "?")
	_ = s.W.Packet(wire.PrepareOK{StatementID: 1, Params: uint16(n)}.Append(nil))
	for range n {
		col := wire.Column{Name: []byte("?"), Type: wire.TypeVarString}
		_ = s.W.Packet(col.Append(nil))
	}
	return nil
}

func (w *world) answer(server int, text string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, r := range w.rules {
		if r.server == server && strings.HasPrefix(text, r.text) {
			if r.once {
				w.rules = append(w.rules[:i:i], w.rules[i+1:]...)
			}
			return r.answer
		}
	}
	return ""
}

func play(s *mysqltest.Session, answer, text string, status uint16) error {
	verb, arg, _ := strings.Cut(answer, " ")
	switch {
	case verb == "hangup":
		return mysqltest.ErrHangUp
	case verb == "err":
		code, message, _ := strings.Cut(arg, " ")
		n, _ := strconv.Atoi(code)
		s.Err(uint16(n), message)
	case verb == "row-then-hangup":
		s.Columns("a")
		s.Row("1")
		s.Flush()
		return mysqltest.ErrHangUp
	case verb == "wait": // until killed
		s.WaitClosed()
		return mysqltest.ErrHangUp
	case verb == "ok":
		ok := wire.OK{Status: status, AffectedRows: 1}
		for word := range strings.FieldsSeq(arg) {
			k, v, _ := strings.Cut(word, "=")
			n, _ := strconv.Atoi(v)
			switch k {
			case "affected":
				ok.AffectedRows = uint64(n)
			case "id":
				ok.LastInsertID = uint64(n)
			case "warnings":
				ok.Warnings = uint16(n)
			case "committed":
				ok.Status &^= wire.StatusInTrans
			default: // a variable the server reports
				ok.Tracked.Vars = append(ok.Tracked.Vars, wire.TrackedVar{Name: k, Value: v})
				ok.Status |= wire.StatusSessionStateChanged
			}
		}
		s.OK(ok)
	case verb == "rows": // rows a,b: 1,2; 3,4
		names, rows, _ := strings.Cut(arg, ":")
		s.Columns(strings.Split(names, ",")...)
		for row := range strings.SplitSeq(rows, ";") {
			if row = strings.TrimSpace(row); row != "" {
				s.Row(strings.Split(row, ",")...)
			}
		}
		s.Done(wire.OK{Status: status})
	case (strings.HasPrefix(text, "SELECT") || strings.HasPrefix(text, "SHOW")) && !strings.Contains(text, " INTO @"):
		s.Columns("a")
		s.Row("1")
		s.Done(wire.OK{Status: status})
	default:
		s.OK(wire.OK{Status: status, AffectedRows: 1})
	}
	return nil
}

// run plays one line of a case.
func (w *world) run(line string) {
	verb, arg, _ := strings.Cut(line, " ")
	switch verb {
	case "on", "once": // on s0 TEXT = answer
		server, rest, _ := strings.Cut(arg, " ")
		text, answer, _ := strings.Cut(rest, " => ")
		w.mu.Lock()
		w.rules = append(w.rules, rule{int(server[1] - '0'), text, answer, verb == "once"})
		w.mu.Unlock()
		return
	case "client>":
		fmt.Fprintf(&w.out, "client> %s\n", arg)
		w.send(wire.ComQuery, []byte(arg))
	case "ping":
		w.send(wire.ComPing, nil)
	case "quit":
		w.send(wire.ComQuit, nil)
	case "init-db":
		w.send(wire.ComInitDB, []byte(arg))
	case "prepare": // prepare name SQL
		name, sql, _ := strings.Cut(arg, " ")
		fmt.Fprintf(&w.out, "prepare %s: %s\n", name, sql)
		w.send(wire.ComStmtPrepare, []byte(sql))
		before := w.out.String()
		w.out.Reset()
		w.readPrepare(name) // first: the servers have been asked then
		answer := w.out.String()
		w.out.Reset()
		w.out.WriteString(before)
		w.servers01()
		w.out.WriteString(answer)
		return
	case "execute": // execute name 1 'x'
		w.execute(arg)
	case "close-statement":
		w.send(wire.ComStmtClose, wire.AppendExecute(nil, w.stmts[arg], nil)[1:5])
		w.send(wire.ComPing, nil)
	case "long": // long name param text
		f := strings.Fields(arg)
		n, _ := strconv.Atoi(f[1])
		payload := append(wire.AppendExecute(nil, w.stmts[f[0]], nil)[1:5], byte(n), 0)
		w.send(wire.ComStmtSendLongData, append(payload, f[2]...))
		return
	case "command":
		b, err := hex.DecodeString(strings.ReplaceAll(arg, " ", ""))
		require.NoError(w.t, err)
		w.send(b[0], b[1:])
	case "raw": // bytes as they are
		b, err := hex.DecodeString(strings.ReplaceAll(arg, " ", ""))
		require.NoError(w.t, err)
		w.in.SetSeq(1)
		_, _ = w.conn.Write(b)
	case "kill", "kill-query":
		w.waitIdle()
		w.in.SetSeq(0)
		require.NoError(w.t, w.registry.Kill(7, verb == "kill", ""))
	case "drain": // as proxy does
		w.waitIdle()
		w.in.SetSeq(0)
		close(w.draining)
		for _, s := range w.registry.all() {
			_ = s.c.Conn.SetReadDeadline(time.Unix(1, 0))
		}
		if arg == "quietly" {
			return
		}
	case "read": // what the server says unasked
		w.in.SetSeq(0)
	case "hold", "release":
		map[string]func(){
			"hold writes": func() { w.store.HoldWrites("tables move") },
			"hold all":    func() { w.store.Hold("tables move") },
			"release":     w.store.Release,
		}[line]()
		return
	case "waits>": // a statement that is held
		fmt.Fprintf(&w.out, "waits> %s\n", arg)
		w.send(wire.ComQuery, []byte(arg))
		w.waitHeld()
		w.servers01()
		return
	case "waits-execute>":
		w.execute(arg)
		w.waitHeld()
		w.servers01()
		return
	case "still": // it waits on, under another hold
		time.Sleep(20 * time.Millisecond)
		w.waitHeld()
		w.servers01()
		return
	case "answer":
	case "unsettled": // of table users: unsettled writes|all
		w.waitRest()
		var ids []uint32
		for _, i := range w.registry.Unsettled([]plan.TableName{{Schema: "shop", Table: "users"}}, arg == "all") {
			ids = append(ids, i.ID)
		}
		fmt.Fprintf(&w.out, "unsettled: %v\n", ids)
		return
	case "pins":
		for _, i := range w.registry.List() {
			fmt.Fprintf(&w.out, "pins: %v\n", i.Pins)
		}
		return
	case "processes":
		w.waitIdle()
		for _, i := range w.registry.List() {
			fmt.Fprintf(&w.out, "%d %s db=%s %s in_transaction=%t %v\n", i.ID, i.User, i.DB, i.Command, i.InTransaction, i.TransactionClusters)
		}
		return
	default:
		w.t.Fatalf("unknown line %q", line)
	}
	answer := w.read()
	w.servers01()
	for i, s := range w.servers {
		answer = strings.ReplaceAll(answer, s.Addr, "s"+strconv.Itoa(i))
	}
	w.out.WriteString(answer)
}

// waitIdle waits until the session has gone back to reading.
func (w *world) waitIdle() {
	require.Eventually(w.t, func() bool {
		l := w.registry.List()
		return len(l) == 0 || l[0].Command == "Sleep"
	}, 5*time.Second, time.Millisecond)
}

func (w *world) waitHeld() { w.waitFor(func(s *Session) bool { return s.mu.waiting }) }

// waitRest waits until the session waits for something.
func (w *world) waitRest() {
	w.waitFor(func(s *Session) bool { return s.mu.waiting || s.mu.command == "Sleep" })
}

func (w *world) waitFor(is func(*Session) bool) {
	require.Eventually(w.t, func() bool {
		s := w.registry.all()[0]
		s.mu.Lock()
		defer s.mu.Unlock()
		return is(s)
	}, 5*time.Second, time.Millisecond)
}

func (w *world) execute(arg string) {
	f := strings.Fields(arg)
	var params []wire.Param
	for _, a := range f[1:] {
		if a == "NULL" {
			params = append(params, wire.Param{Type: wire.TypeNull, Null: true})
			continue
		}
		params = append(params, wire.Param{Type: wire.TypeVarString, Value: []byte(a)})
	}
	fmt.Fprintf(&w.out, "execute %s\n", arg)
	w.send(wire.ComStmtExecute, wire.AppendExecute(nil, w.stmts[f[0]], params)[1:])
}

func (w *world) send(com byte, body []byte) {
	w.to.SetSeq(0)
	_ = w.to.Packet(append([]byte{com}, body...))
	_ = w.conn.SetDeadline(time.Now().Add(10 * time.Second))
	_ = w.to.Flush() // a session that is gone shows when reading
	w.in.SetSeq(1)
}

// setCharset gives a fresh connection what the client asked for at login.
const setCharset = "query SET SESSION character_set_client='utf8mb4',SESSION character_set_results='utf8mb4'," +
	"SESSION character_set_connection='utf8mb4',SESSION collation_connection='utf8mb4_general_ci'"

// servers01 prints what reached the servers since the last time. The
// statements that give a fresh connection the client's character set are left
// out: they are the same everywhere.
func (w *world) servers01() {
	for i, s := range w.servers {
		log := s.Log()
		for _, l := range log[w.shown[i]:] {
			if strings.HasPrefix(l, "query SET session_track") || l == "query SELECT @@global.read_only" ||
				strings.HasPrefix(l, "query SET SESSION xa_detach_on_prepare") || l == setCharset || l == "quit" {
				continue
			}
			fmt.Fprintf(&w.out, "s%d> %s\n", i, strings.TrimPrefix(l, "query "))
		}
		w.shown[i] = len(log)
	}
}

// read reads one whole answer, all results of it.
func (w *world) read() string {
	var b strings.Builder
	for {
		more := w.readOne(&b)
		if !more {
			return b.String()
		}
	}
}

func (w *world) readOne(b *strings.Builder) (more bool) {
	p, err := w.in.Packet()
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe):
		b.WriteString("client< connection closed\n")
		return false
	case errors.Is(err, wire.ErrSequence):
		fmt.Fprintf(b, "client< %v\n", err)
		return false
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.WriteString("client< nothing\n")
		return false
	}
	require.NoError(w.t, err)
	if more, done := w.end(b, p, false); done {
		return more
	}
	n, _ := wire.LenEncInt(p)
	var names []string
	for range n {
		p, err := w.in.Packet()
		require.NoError(w.t, err)
		col, err := wire.DecodeColumn(p)
		require.NoError(w.t, err)
		names = append(names, string(col.Name))
	}
	if w.caps&wire.CapDeprecateEOF == 0 {
		p, err := w.in.Packet()
		require.NoError(w.t, err)
		require.True(w.t, wire.IsEOF(p))
	}
	fmt.Fprintf(b, "client< columns %s\n", strings.Join(names, ", "))
	for {
		p, err := w.in.Packet()
		require.NoError(w.t, err)
		if more, done := w.end(b, p, true); done {
			return more
		}
		spans, err := wire.TextSpans(nil, p, len(names))
		if err != nil {
			fmt.Fprintf(b, "client< binary row %x\n", p)
			continue
		}
		b.WriteString("client< row")
		for _, sp := range spans {
			v := "NULL"
			if !sp.Null() {
				v = string(sp.Of(p))
			}
			fmt.Fprintf(b, " %s", v)
		}
		b.WriteByte('\n')
	}
}

// end prints an OK, EOF or ERR.
func (w *world) end(b *strings.Builder, p []byte, inRows bool) (more, done bool) {
	switch {
	case wire.IsErr(p):
		e, err := wire.DecodeErr(p)
		require.NoError(w.t, err)
		fmt.Fprintf(b, "client< %v\n", e)
		return false, true
	case p[0] == wire.HeaderOK && !inRows || inRows && w.caps&wire.CapDeprecateEOF != 0 && wire.IsEnd(p, w.caps):
		ok, err := wire.DecodeOK(p, w.caps)
		require.NoError(w.t, err)
		word := "OK"
		if inRows {
			word = "end"
		}
		fmt.Fprintf(b, "client< %s%s\n", word, okText(ok))
		return ok.Status&wire.StatusMoreResults != 0, true
	case wire.IsEOF(p):
		ok, err := wire.DecodeEOF(p)
		require.NoError(w.t, err)
		fmt.Fprintf(b, "client< end%s\n", okText(ok))
		return ok.Status&wire.StatusMoreResults != 0, true
	}
	return false, false
}

func okText(ok wire.OK) string {
	var s string
	if ok.AffectedRows > 0 {
		s += " affected=" + strconv.FormatUint(ok.AffectedRows, 10)
	}
	if ok.LastInsertID > 0 {
		s += " id=" + strconv.FormatUint(ok.LastInsertID, 10)
	}
	if ok.Warnings > 0 {
		s += " warnings=" + strconv.Itoa(int(ok.Warnings))
	}
	for _, f := range []struct {
		flag uint16
		name string
	}{{wire.StatusInTrans, "in_transaction"}, {wire.StatusMoreResults, "more"}, {wire.StatusNoBackslashEscapes, "no_backslash_escapes"}} {
		if ok.Status&f.flag != 0 {
			s += " " + f.name
		}
	}
	if ok.Status&wire.StatusAutocommit == 0 {
		s += " no_autocommit"
	}
	return s
}

func (w *world) readPrepare(name string) {
	p, err := w.in.Packet()
	require.NoError(w.t, err)
	if wire.IsErr(p) {
		e, _ := wire.DecodeErr(p)
		fmt.Fprintf(&w.out, "client< %v\n", e)
		return
	}
	ok, err := wire.DecodePrepareOK(p)
	require.NoError(w.t, err)
	w.stmts[name] = ok.StatementID
	fmt.Fprintf(&w.out, "client< prepared params=%d columns=%d\n", ok.Params, ok.Columns)
	for _, n := range []uint16{ok.Params, ok.Columns} {
		for range n {
			_, err := w.in.Packet()
			require.NoError(w.t, err)
		}
		if n > 0 && w.caps&wire.CapDeprecateEOF == 0 {
			_, err := w.in.Packet()
			require.NoError(w.t, err)
		}
	}
}
