package txn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeConn answers OK to everything but what a case told it to fail, and keeps
// the status flag a server would.
type fakeConn struct {
	name string
	log  *strings.Builder
	// fails gives the error of a statement's answer, once.
	fails map[string]error
	// unsent are statements whose Flush fails.
	unsent map[string]error

	queue  []string
	status uint16
	armed  bool
}

func (c *fakeConn) Arm(context.Context) (disarm func()) {
	c.armed = true
	return func() { c.armed = false }
}

func (c *fakeConn) Query(sql []byte) { c.queue = append(c.queue, string(sql)) }

func (c *fakeConn) Flush() error {
	for _, q := range c.queue {
		if err := c.unsent[q]; err != nil {
			fmt.Fprintf(c.log, "%s: %s -- not sent\n", c.name, q)
			c.queue = nil
			return err
		}
	}
	return nil
}

func (c *fakeConn) Header() (backend.Header, error) {
	if len(c.queue) == 0 {
		return backend.Header{}, io.EOF
	}
	q := c.queue[0]
	c.queue = c.queue[1:]
	fmt.Fprintf(c.log, "%s: %s", c.name, q)
	if err := c.fails[q]; err != nil {
		delete(c.fails, q)
		fmt.Fprintf(c.log, " -- %v\n", err)
		return backend.Header{}, err
	}
	c.log.WriteByte('\n')
	h := backend.Header{OK: wire.OK{}}
	switch {
	case q == "BEGIN" || strings.HasPrefix(q, "START") || strings.HasPrefix(q, "XA START"):
		c.status |= statusInTrans
	case strings.HasPrefix(q, "XA COMMIT"):
		h.OK.Tracked.GTIDs = "gtid-of-" + c.name
		c.status &^= statusInTrans
	case q == "COMMIT":
		h.OK.Tracked.GTIDs = "gtid-of-" + c.name
		c.status &^= statusInTrans
	case q == "ROLLBACK" || strings.HasPrefix(q, "XA PREPARE") || strings.HasPrefix(q, "XA ROLLBACK"):
		c.status &^= statusInTrans
	}
	h.OK.Status = c.status
	return h, nil
}

func (c *fakeConn) Status() uint16 { return c.status }

// world is what a case file works with.
type world struct {
	log   strings.Builder
	tx    *Tx[*fakeConn]
	conns map[string]*fakeConn
	coord *coordinator
}

func newWorld() *world {
	w := &world{conns: map[string]*fakeConn{}}
	w.coord = &coordinator{w: w, decided: "unknown"}
	w.tx = New(func(cluster string, c *fakeConn, err error) {
		if err != nil {
			fmt.Fprintf(&w.log, "%s: closed\n", cluster)
			delete(w.conns, cluster)
			return
		}
		fmt.Fprintf(&w.log, "%s: given back\n", cluster)
	})
	w.tx.Coordinate(w.coord)
	return w
}

func (w *world) conn(cluster string) *fakeConn {
	c := w.conns[cluster]
	if c == nil {
		c = &fakeConn{name: cluster, log: &w.log, fails: map[string]error{}, unsent: map[string]error{}}
		w.conns[cluster] = c
	}
	return c
}

func parseError(s string) error {
	switch s {
	case "lost":
		return io.ErrUnexpectedEOF
	case "":
		return nil
	}
	code, message, _ := strings.Cut(s, " ")
	n, err := strconv.Atoi(code)
	if err != nil {
		return errors.New(s)
	}
	return sqlerr.New(uint16(n), "%s", message)
}

// marks logs what later reads must see.
func (w *world) marks(marks map[string]Mark) {
	for _, c := range []string{"c0", "c1", "c2"} {
		m := marks[c]
		if m.GTIDs != "" {
			fmt.Fprintf(&w.log, "reads of %s wait for %s\n", c, m.GTIDs)
		}
		if m.Branch != "" {
			fmt.Fprintf(&w.log, "and for branches of %s\n", m.Branch)
		}
		if m.Unknown {
			fmt.Fprintf(&w.log, "reads of %s go to the primary\n", c)
		}
	}
}

func (w *world) run(line string) {
	ctx := context.Background()
	verb, arg, _ := strings.Cut(line, " ")
	var err error
	switch verb {
	case "begin":
		opts := Options{}
		for opt := range strings.SplitSeq(arg, ",") {
			switch opt := strings.TrimSpace(opt); opt {
			case "":
			case "snapshot":
				opts.Snapshot = true
			case "atomic":
				opts.Atomic = true
			case "READ ONLY", "READ WRITE":
				opts.Access = opt
			default:
				opts.Isolation = opt
			}
		}
		err = w.tx.Begin(opts)
	case "join":
		err = w.tx.Join(arg, w.conn(arg))
	case "write": // join, and change something
		if err = w.tx.Join(arg, w.conn(arg)); err == nil {
			w.tx.Wrote(arg)
		}
	case "decided":
		w.coord.decided = arg
		return
	case "unreachable":
		w.coord.unreachable = arg
		return
	case "fail", "unsent": // fail <cluster> <statement> = <error>
		cluster, rest, _ := strings.Cut(arg, " ")
		statement, what, _ := strings.Cut(rest, " = ")
		if verb == "fail" {
			w.conn(cluster).fails[statement] = parseError(what)
		} else {
			w.conn(cluster).unsent[statement] = parseError(what)
		}
		return
	case "break":
		w.tx.Break(arg)
		return
	case "implicit-commit": // the server has committed by itself
		w.conn(arg).status &^= statusInTrans
		return
	case "settle":
		var over bool
		var marks map[string]Mark
		over, marks, err = w.tx.Settle(ctx, parseError(arg))
		fmt.Fprintf(&w.log, "over=%t\n", over)
		w.marks(marks)
	case "commit":
		var marks map[string]Mark
		marks, err = w.tx.Commit(ctx)
		w.marks(marks)
	case "rollback":
		err = w.tx.Rollback(ctx)
	case "savepoint":
		err = w.tx.Savepoint(ctx, arg)
	case "rollback-to":
		err = w.tx.RollbackTo(ctx, arg)
	case "guard":
		err = w.tx.Guard(ctx)
	case "undo":
		w.tx.Undo(ctx)
	case "unguard":
		w.tx.Unguard()
	case "release":
		err = w.tx.ReleaseSavepoint(ctx, arg)
	default:
		fmt.Fprintf(&w.log, "unknown: %s\n", line)
	}
	if err != nil {
		fmt.Fprintf(&w.log, "error: %v\n", err)
	}
}

func TestTransactions(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			w := newWorld()
			for line := range strings.SplitSeq(d.Input, "\n") {
				w.run(line)
			}
			fmt.Fprintf(&w.log, "state: %s %v\n", w.tx.State(), w.tx.Clusters())
			for _, c := range w.conns {
				require.False(t, c.armed, "a connection stays armed")
			}
			return w.log.String()
		})
	})
}

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want Fate
	}{
		"no error lets it go on":                      {nil, Goes},
		"a duplicate key is the statement's alone":    {sqlerr.New(1062, "Duplicate entry"), Goes},
		"a deadlock has rolled the server back":       {sqlerr.New(1213, "Deadlock found"), Gone},
		"a lock timeout may have, by a server option": {sqlerr.New(1205, "Lock wait timeout"), Ask},
		"a lost connection has":                       {io.ErrUnexpectedEOF, Gone},
		"a server that is going down has":             {sqlerr.New(sqlerr.ServerShutdown, "shutdown"), Gone},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, Judge(c.err)) })
	}
}

func TestBroken(t *testing.T) {
	require.False(t, Broken(nil))
	require.False(t, Broken(sqlerr.New(1062, "Duplicate entry")))
	require.True(t, Broken(sqlerr.New(sqlerr.ServerLost, "gone")))
	require.True(t, Broken(fmt.Errorf("read: %w", io.EOF)))
}

func TestSavepointsAreBounded(t *testing.T) {
	w := newWorld()
	require.NoError(t, w.tx.Begin(Options{}))
	for i := range maxSavepoints {
		require.NoError(t, w.tx.Savepoint(context.Background(), "s"+strconv.Itoa(i)))
	}
	require.ErrorContains(t, w.tx.Savepoint(context.Background(), "one_more"), "Serval refuses another savepoint")
}

// coordinator is told by a case what it finds out.
type coordinator struct {
	w *world
	// decided is what Decided says: commit, abort or an error.
	decided string
	// unreachable clusters cannot Finish.
	unreachable string
}

func (*coordinator) Name() string { return "serval:t:1" }

func (c *coordinator) Decided(_ context.Context, first, gtrid string) (bool, error) {
	fmt.Fprintf(&c.w.log, "looked up on %s: %s is %s\n", first, gtrid, c.decided)
	switch c.decided {
	case "commit":
		return true, nil
	case "abort":
		return false, nil
	}
	return false, errors.New("no answer")
}

func (c *coordinator) Finish(_ context.Context, cluster, branch string) error {
	if cluster == c.unreachable {
		return errors.New("no answer")
	}
	fmt.Fprintf(&c.w.log, "%s, on another connection: XA COMMIT %s\n", cluster, branch)
	return nil
}

func (c *coordinator) Ended(first, _ string, decided bool, left []Branch) {
	fmt.Fprintf(&c.w.log, "ended: first=%s decision=%t left for recovery=%t\n", first, decided, len(left) > 0)
}

func (c *coordinator) Meter() Meter { return c }

func (c *coordinator) AtomicCommit(outcome string, _ time.Duration) {
	fmt.Fprintf(&c.w.log, "counted: %s\n", outcome)
}

func (c *coordinator) Recovered(bool) {}
func (c *coordinator) Halved(int)     {}
