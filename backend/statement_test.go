package backend

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqltest"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// preparer numbers statements from 1, each with two parameters and one column,
// and refuses when more than max are open at once.
type preparer struct {
	next, open, max int
	executed        [][]byte
	fail            uint16
}

func (p *preparer) handle(s *mysqltest.Session, com byte, arg []byte) error {
	switch {
	case com == wire.ComStmtPrepare && p.max > 0 && p.open >= p.max:
		p.open = 0 // what the connection gives back in answer
		s.Err(errTooManyStmts, "Can't create more than max_prepared_stmt_count statements")
	case com == wire.ComStmtPrepare:
		p.next++
		p.open++
		b := binary.LittleEndian.AppendUint32([]byte{0}, uint32(p.next))
		_ = s.W.Packet(append(b, 1, 0, 2, 0, 0, 0, 0))
		for range 3 {
			col := wire.Column{Name: []byte("v"), Type: wire.TypeVarString}
			_ = s.W.Packet(col.Append(nil))
		}
	case com == wire.ComStmtExecute && p.fail != 0:
		s.Err(p.fail, "prepare it again")
		p.fail = 0
	case com == wire.ComStmtExecute:
		p.executed = append(p.executed, append([]byte(nil), arg...))
		s.OK(autocommit)
	default:
		s.OK(autocommit)
	}
	return nil
}

func prepareOn(t *testing.T, p *preparer, maxStatements int) (*Conn, *mysqltest.Server) {
	s := mysqltest.Start(t, p.handle)
	c, err := Dial(context.Background(), s.Addr, Config{MaxStatements: maxStatements}, false)
	require.NoError(t, err)
	t.Cleanup(c.Discard)
	return c, s
}

func TestPrepare(t *testing.T) {
	t.Run("a statement is prepared once", func(t *testing.T) {
		c, s := prepareOn(t, &preparer{}, 10)
		a, err := c.Prepare([]byte("SELECT ?"))
		require.NoError(t, err)
		b, err := c.Prepare([]byte("SELECT ?"))
		require.NoError(t, err)
		require.Same(t, a, b)
		require.Equal(t, 2, a.Params())
		require.Equal(t, "v", string(a.Columns()[0].Name))
		require.Equal(t, []string{"prepare SELECT ?"}, asked(s))
	})
	t.Run("MySQL reads text as a number where a number came first, so each list of types has its own", func(t *testing.T) {
		c, s := prepareOn(t, &preparer{}, 10)
		number, text := []wire.Param{{Type: wire.TypeLongLong}}, []wire.Param{{Type: wire.TypeVarString}}
		described, err := c.Prepare([]byte("SELECT ?"))
		require.NoError(t, err)
		a, err := c.PrepareFor([]byte("SELECT ?"), number)
		require.NoError(t, err)
		require.Same(t, described, a, "it was not run yet")
		b, err := c.PrepareFor([]byte("SELECT ?"), text)
		require.NoError(t, err)
		require.NotSame(t, a, b)
		again, err := c.PrepareFor([]byte("SELECT ?"), number)
		require.NoError(t, err)
		require.Same(t, a, again)
		require.Equal(t, []string{"prepare SELECT ?", "prepare SELECT ?"}, asked(s))
	})
	t.Run("the same text in another database is another statement", func(t *testing.T) {
		c, _ := prepareOn(t, &preparer{}, 10)
		c.Want(&State{DB: "a"})
		a, err := c.Prepare([]byte("SELECT ?"))
		require.NoError(t, err)
		c.Want(&State{DB: "b"})
		b, err := c.Prepare([]byte("SELECT ?"))
		require.NoError(t, err)
		c.Want(&State{DB: "a"})
		again, err := c.Prepare([]byte("SELECT ?"))
		require.NoError(t, err)
		require.NotSame(t, a, b)
		require.Same(t, a, again)
	})
	t.Run("the least recently used is closed", func(t *testing.T) {
		c, s := prepareOn(t, &preparer{}, 2)
		for _, q := range []string{"a", "b", "a", "c", "a"} {
			_, err := c.Prepare([]byte(q))
			require.NoError(t, err)
		}
		_, err := c.Exec(context.Background(), "SELECT 1")
		require.NoError(t, err)
		require.Equal(t, []string{"prepare a", "prepare b", "prepare c", "close 2", "query SELECT 1"}, asked(s))
	})
	t.Run("a server with too many statements gets this connection's back, and is asked once more", func(t *testing.T) {
		c, s := prepareOn(t, &preparer{max: 2}, 10)
		for _, q := range []string{"a", "b", "c"} {
			_, err := c.Prepare([]byte(q))
			require.NoError(t, err)
		}
		require.Equal(t, []string{"prepare a", "prepare b", "prepare c", "close 1", "close 2", "prepare c"}, asked(s))
	})
	t.Run("a statement the server wants prepared anew is, and the error may be retried", func(t *testing.T) {
		p := &preparer{}
		c, _ := prepareOn(t, p, 10)
		stmt, err := c.Prepare([]byte("a"))
		require.NoError(t, err)
		p.fail = errNeedReprepare
		c.Execute(stmt, nil)
		require.NoError(t, c.Flush())
		_, err = c.Header()
		require.Equal(t, errNeedReprepare, code(err))
		require.True(t, sqlerr.SafeToRetry(err))
		again, err := c.Prepare([]byte("a"))
		require.NoError(t, err)
		require.NotSame(t, stmt, again)
	})
	t.Run("statements that are forgotten are closed, and prepared again when they come again", func(t *testing.T) {
		c, s := prepareOn(t, &preparer{}, 10)
		for _, q := range []string{"a", "b", "c"} {
			_, err := c.Prepare([]byte(q))
			require.NoError(t, err)
		}
		c.Forget()
		for _, q := range []string{"b", "b"} {
			_, err := c.Prepare([]byte(q))
			require.NoError(t, err)
		}
		require.Equal(t, []string{"prepare a", "prepare b", "prepare c", "close 1", "close 2", "close 3", "prepare b"}, asked(s))
	})
	t.Run("one more statement than the limit never stays open", func(t *testing.T) {
		c, _ := prepareOn(t, &preparer{}, 3)
		for i := range 20 {
			_, err := c.Prepare(fmt.Appendf(nil, "q%d", i))
			require.NoError(t, err)
			require.LessOrEqual(t, len(c.stmts.byKey), 3)
		}
	})
}

func TestExecuteParameters(t *testing.T) {
	p := &preparer{}
	c, _ := prepareOn(t, p, 10)
	stmt, err := c.Prepare([]byte("a"))
	require.NoError(t, err)
	for _, params := range [][]wire.Param{
		{{Type: wire.TypeLong, Unsigned: true, Value: []byte{1, 0, 0, 0}}, {Type: wire.TypeVarString, Value: []byte("hi")}},
		{{Type: wire.TypeDate, Value: []byte{0xea, 7, 11, 23}}, {Type: wire.TypeNull, Null: true}},
		{{Type: wire.TypeTiny, Value: []byte{5}}}, // one is missing
	} {
		c.Execute(stmt, params)
	}
	require.NoError(t, c.Flush())
	for range 3 {
		_, err := c.Header()
		require.NoError(t, err)
	}
	head := "\x01\x00\x00\x00\x00\x01\x00\x00\x00"
	require.Equal(t, head+"\x00\x01\x03\x80\xfd\x00\x01\x00\x00\x00\x02hi", string(p.executed[0]))
	require.Equal(t, head+"\x02\x01\x0a\x00\x06\x00\x04\xea\x07\x0b\x17", string(p.executed[1]))
	require.Equal(t, head+"\x02\x01\x01\x00\x06\x00\x05", string(p.executed[2]))
}
