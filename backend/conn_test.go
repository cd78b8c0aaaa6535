package backend

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqltest"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/topology"
)

var autocommit = wire.OK{Status: wire.StatusAutocommit}

// connTo dials a fake server that answers with h.
func connTo(t *testing.T, h mysqltest.Handler) (*Conn, *mysqltest.Server) {
	t.Helper()
	s := mysqltest.Start(t, h)
	c, err := Dial(context.Background(), s.Addr, Config{User: "serval"}, false)
	require.NoError(t, err)
	t.Cleanup(c.Discard)
	return c, s
}

func code(err error) int { return int(sqlerr.From(err).Code) }

// relayed runs one query and gives what the client saw.
func relayed(c *Conn, opt RelayOptions) (client []byte, ok wire.OK, columns int, err error) {
	var out bytes.Buffer
	w := wire.NewWriter(&out)
	w.SetSeq(1)
	c.Query([]byte("SELECT v FROM t"))
	if err := c.Flush(); err != nil {
		return nil, wire.OK{}, 0, err
	}
	ok, columns, err = c.Relay(w, opt)
	_ = w.Flush()
	return out.Bytes(), ok, columns, err
}

// packets cuts what a client saw, checking the sequence numbers.
func packets(t *testing.T, b []byte) (out []string) {
	t.Helper()
	r := wire.NewReader(bytes.NewReader(b), 1<<30)
	r.SetSeq(1)
	for {
		p, err := r.Packet()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		out = append(out, string(p))
	}
}

func TestRelay(t *testing.T) {
	two := func(s *mysqltest.Session, com byte, arg []byte) error {
		s.Columns("v")
		s.Row("one")
		s.Row("two")
		s.Done(wire.OK{Status: wire.StatusAutocommit, Warnings: 3})
		return nil
	}
	t.Run("a client that deprecates EOF gets count, columns and rows, and the caller the closing OK", func(t *testing.T) {
		c, _ := connTo(t, two)
		b, ok, n, err := relayed(c, RelayOptions{DeprecateEOF: true})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, uint16(3), ok.Warnings)
		got := packets(t, b)
		require.Len(t, got, 4)
		require.Equal(t, []string{"\x01", "\x03one", "\x03two"}, []string{got[0], got[2], got[3]})
		require.Equal(t, ok, c.End())
	})
	t.Run("an old client gets EOF behind the columns, numbered in turn", func(t *testing.T) {
		c, _ := connTo(t, two)
		b, _, _, err := relayed(c, RelayOptions{Status: wire.StatusAutocommit})
		require.NoError(t, err)
		got := packets(t, b)
		require.Len(t, got, 5)
		require.Equal(t, "\xfe\x00\x00\x02\x00", got[2])
	})
	t.Run("columns are rewritten where asked", func(t *testing.T) {
		c, _ := connTo(t, two)
		b, _, _, err := relayed(c, RelayOptions{DeprecateEOF: true, Column: func(col *wire.Column) { col.Table = []byte("orders_longer") }})
		require.NoError(t, err)
		col, err := wire.DecodeColumn([]byte(packets(t, b)[1]))
		require.NoError(t, err)
		require.Equal(t, "orders_longer", string(col.Table))
		require.Equal(t, "v", string(col.Name))
	})
	t.Run("an OK writes nothing", func(t *testing.T) {
		c, _ := connTo(t, func(s *mysqltest.Session, _ byte, _ []byte) error {
			s.OK(wire.OK{AffectedRows: 7, Status: wire.StatusAutocommit})
			return nil
		})
		b, ok, n, err := relayed(c, RelayOptions{})
		require.NoError(t, err)
		require.Empty(t, b)
		require.Zero(t, n)
		require.Equal(t, uint64(7), ok.AffectedRows)
	})
	t.Run("an ERR instead of a result is the server's own, and the connection goes on", func(t *testing.T) {
		c, _ := connTo(t, func(s *mysqltest.Session, _ byte, _ []byte) error { s.Err(1146, "no table"); return nil })
		b, _, _, err := relayed(c, RelayOptions{})
		require.Empty(t, b)
		require.Equal(t, 1146, code(err))
		require.False(t, sqlerr.SafeToRetry(err))
		require.True(t, c.reusable(err))
	})
	t.Run("an ERR between rows is returned behind the rows, and the connection goes on", func(t *testing.T) {
		c, _ := connTo(t, func(s *mysqltest.Session, _ byte, _ []byte) error {
			s.Columns("v")
			s.Row("one")
			s.Err(1317, "interrupted")
			return nil
		})
		b, _, n, err := relayed(c, RelayOptions{DeprecateEOF: true})
		require.Equal(t, 1317, code(err))
		require.Equal(t, 1, n)
		require.Len(t, packets(t, b), 3)
		require.True(t, c.reusable(err))
	})
	t.Run("a request for a local file is refused and the connection given up", func(t *testing.T) {
		c, _ := connTo(t, func(s *mysqltest.Session, _ byte, _ []byte) error {
			_ = s.W.Packet([]byte("\xfb/etc/passwd"))
			return nil
		})
		_, _, _, err := relayed(c, RelayOptions{})
		require.Equal(t, sqlerr.NotSupported, code(err))
		require.False(t, c.reusable(err))
	})
	t.Run("of several results each is one Relay, as long as the status says more", func(t *testing.T) {
		c, _ := connTo(t, func(s *mysqltest.Session, _ byte, _ []byte) error {
			s.Columns("v")
			s.Row("one")
			s.Done(wire.OK{Status: wire.StatusMoreResults})
			s.OK(autocommit)
			return nil
		})
		_, ok, n, err := relayed(c, RelayOptions{})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.NotZero(t, ok.Status&wire.StatusMoreResults)
		require.False(t, c.reusable(nil), "an answer is left unread")
		_, n, err = c.Relay(wire.NewWriter(io.Discard), RelayOptions{})
		require.NoError(t, err)
		require.Zero(t, n)
		require.True(t, c.reusable(nil))
	})
	t.Run("a client that is gone is not the server's fault", func(t *testing.T) {
		c, _ := connTo(t, two)
		c.Query([]byte("SELECT 1"))
		require.NoError(t, c.Flush())
		w := wire.NewWriter(brokenWriter{})
		for w.Err() == nil {
			_ = w.Packet(make([]byte, 1000))
		}
		_, _, err := c.Relay(w, RelayOptions{})
		require.True(t, IsClientError(err))
		require.False(t, c.reusable(err))
	})
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// A row over 16 MB comes in several frames; a frame in the middle that begins
// like an ERR or an EOF is data.
func TestRelayHugeRow(t *testing.T) {
	huge := strings.Repeat("x", wire.MaxFrame-9) + "\xff middle \xfe" + strings.Repeat("\xff", wire.MaxFrame) + "\xfeend"
	c, _ := connTo(t, func(s *mysqltest.Session, _ byte, _ []byte) error {
		s.Columns("v")
		s.Row("small")
		s.Row(huge)
		s.Row(strings.Repeat("y", wire.MaxFrame-4)) // fills one frame to the byte: an empty one follows
		s.Row("after")
		s.Done(autocommit)
		return nil
	})
	b, _, _, err := relayed(c, RelayOptions{DeprecateEOF: true})
	require.NoError(t, err)
	got := packets(t, b)
	require.Len(t, got, 6)
	require.True(t, strings.HasSuffix(got[3], huge))
	require.Len(t, got[4], wire.MaxFrame)
	require.Equal(t, "\x05after", got[5])
	require.True(t, c.reusable(nil))
}

// Wherever the server's bytes end, the error is 2013, is not safe to retry
// once the statement left, and the connection is not used again.
func TestEveryTruncation(t *testing.T) {
	var whole bytes.Buffer
	s := &mysqltest.Session{W: wire.NewWriter(&whole)}
	s.W.SetSeq(1)
	s.Columns("v")
	s.Row("one")
	s.Done(autocommit)
	s.Flush()
	answer := whole.Bytes()
	cut := 0
	srv := mysqltest.Start(t, func(s *mysqltest.Session, _ byte, _ []byte) error {
		s.Raw(answer[:cut])
		return mysqltest.ErrHangUp
	})
	for cut = range answer {
		for _, pull := range []bool{false, true} {
			c, err := Dial(context.Background(), srv.Addr, Config{}, false)
			require.NoError(t, err)
			if pull {
				_, _, err = c.Select(context.Background(), "SELECT v FROM t")
			} else {
				_, _, _, err = relayed(c, RelayOptions{})
			}
			require.Equal(t, sqlerr.ServerLost, code(err), "cut at %d: %v", cut, err)
			require.False(t, sqlerr.SafeToRetry(err))
			require.False(t, c.reusable(err))
			c.Discard()
		}
	}
}

func TestMalformedAnswers(t *testing.T) {
	for name, raw := range map[string]string{
		"an empty packet":                          "\x00\x00\x00\x01",
		"a packet out of order":                    "\x01\x00\x00\x05\x01",
		"an OK cut short":                          "\x02\x00\x00\x01\x00\x00",
		"a column count that is no number":         "\x01\x00\x00\x01\xfc",
		"a column count beyond reason":             "\x04\x00\x00\x01\xfd\xff\xff\xff",
		"a column definition that is none":         "\x01\x00\x00\x01\x01\x02\x00\x00\x02\x03d",
		"bytes of another protocol":                "HTTP/1.1 400 Bad Request\r\n\r\n",
		"an ERR without a code":                    "\x01\x00\x00\x01\xff",
		"a row that is an empty packet":            "\x01\x00\x00\x01\x01\x13\x00\x00\x02\x03def\x00\x00\x00\x01v\x00\x0c\x2d\x00\x50\x00\x00\x00\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03",
		"rows that end in an OK that is cut short": "\x01\x00\x00\x01\x01\x16\x00\x00\x02\x03def\x00\x00\x00\x01v\x00\x0c\x2d\x00\x50\x00\x00\x00\xfd\x00\x00\x00\x00\x00\x01\x00\x00\x03\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := connTo(t, func(s *mysqltest.Session, _ byte, _ []byte) error {
				s.Raw([]byte(raw))
				return mysqltest.ErrHangUp
			})
			_, _, err := c.Select(context.Background(), "SELECT 1")
			require.Equal(t, sqlerr.ServerLost, code(err), "%v", err)
			require.False(t, c.reusable(err))
		})
	}
}

func TestPipelinedCommandsAnswerInOrder(t *testing.T) {
	c, _ := connTo(t, func(s *mysqltest.Session, _ byte, arg []byte) error {
		if string(arg) == "bad" {
			s.Err(1064, "no")
			return nil
		}
		s.Result([]string{"v"}, []string{string(arg)})
		return nil
	})
	for _, q := range []string{"a", "bad", "c"} {
		c.Query([]byte(q))
	}
	require.NoError(t, c.Flush())
	_, rows, err := c.collect()
	require.NoError(t, err)
	require.Equal(t, "a", string(rows[0][0]))
	_, err = c.Header()
	require.Equal(t, 1064, code(err))
	_, rows, err = c.collect()
	require.NoError(t, err)
	require.Equal(t, "c", string(rows[0][0]))
	require.True(t, c.reusable(nil))
	_, err = c.Header()
	require.Error(t, err, "nothing was asked")
}

func TestReadOnlyRefusalIsSafeToRetryAndTold(t *testing.T) {
	s := mysqltest.Start(t, func(s *mysqltest.Session, _ byte, arg []byte) error {
		if string(arg) == "file" {
			s.Err(1290, "The MySQL server is running with the --secure-file-priv option so it cannot execute this statement")
		} else {
			s.Err(1290, "The MySQL server is running with the --super-read-only option so it cannot execute this statement")
		}
		return nil
	})
	told := 0
	c, err := Dial(context.Background(), s.Addr, Config{OnLost: func(string) { told++ }}, false)
	require.NoError(t, err)
	defer c.Discard()
	_, err = c.Exec(context.Background(), "INSERT")
	require.True(t, sqlerr.SafeToRetry(err), "the server did not run it")
	require.Equal(t, 1, told)
	_, err = c.Exec(context.Background(), "file")
	require.False(t, sqlerr.SafeToRetry(err), "another option's refusal")
	require.Equal(t, 1, told)
}

func TestDial(t *testing.T) {
	t.Run("nobody listens: 2003, safe to retry", func(t *testing.T) {
		s := mysqltest.Start(t, nil)
		s.Close()
		_, err := Dial(context.Background(), s.Addr, Config{}, false)
		require.Equal(t, sqlerr.CannotConnect, code(err))
		require.True(t, sqlerr.SafeToRetry(err))
		require.Contains(t, err.Error(), s.Addr)
	})
	t.Run("a server that never greets is left at the timeout", func(t *testing.T) {
		ln := silent(t)
		start := time.Now()
		_, err := Dial(context.Background(), ln, Config{ConnectTimeout: 50 * time.Millisecond}, false)
		require.Equal(t, sqlerr.CannotConnect, code(err))
		require.Less(t, time.Since(start), 5*time.Second)
	})
	t.Run("flavor and version come from the greeting", func(t *testing.T) {
		s := mysqltest.Start(t, nil)
		s.SetVersion("5.5.5-10.11.19-MariaDB-log")
		c, err := Dial(context.Background(), s.Addr, Config{}, true)
		require.NoError(t, err)
		defer c.Discard()
		require.Equal(t, topology.FlavorMariaDB, c.Flavor())
		require.Equal(t, "10.11.19-MariaDB-log", c.Version())
		require.True(t, c.FoundRows())
		require.NotContains(t, s.Log()[0], "session_track_gtids", "MariaDB has no such variable")
	})
}
