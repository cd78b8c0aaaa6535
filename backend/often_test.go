package backend

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqltest"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

func TestTextsAskedForOften(t *testing.T) {
	ctx := context.Background()
	ask := func(t *testing.T, c *Conn, sql string, times int) {
		for range times {
			_, err := c.Exec(ctx, string(c.Often([]byte(sql))))
			require.NoError(t, err)
		}
	}
	// said is what the server was sent, names without their number.
	said := func(s *mysqltest.Server) (out []string) {
		for _, line := range asked(s) {
			name := strings.Index(line, "serval_")
			if name >= 0 {
				end := name + len("serval_")
				line = line[:end] + strings.TrimLeft(line[end:], "0123456789")
			}
			out = append(out, line)
		}
		return out
	}
	t.Run("the fourth time a text is prepared under a name, then it is run by that", func(t *testing.T) {
		c, s := connTo(t, okHandler)
		ask(t, c, "SELECT 'it''s'", 5)
		require.Equal(t, []string{"query SELECT 'it''s'", "query SELECT 'it''s'", "query SELECT 'it''s'",
			"query PREPARE serval_ FROM 'SELECT ''it''''s'''", "query EXECUTE serval_", "query EXECUTE serval_"}, said(s))
	})
	t.Run("in another database it is another text", func(t *testing.T) {
		c, s := connTo(t, okHandler)
		for range 3 {
			c.Want(&State{DB: "a"})
			ask(t, c, "SELECT 1", 1)
			c.Want(&State{DB: "b"})
			ask(t, c, "SELECT 1", 1)
		}
		require.NotContains(t, strings.Join(said(s), "\n"), "PREPARE")
	})
	t.Run("what quotes or a type could make something else of is never prepared", func(t *testing.T) {
		for _, sql := range []string{`SELECT '\''`, "SELECT 'é'", "SELECT @v", "SELECT '" + strings.Repeat("x", oftenBytes) + "'"} {
			c, s := connTo(t, okHandler)
			ask(t, c, sql, 8)
			require.Equal(t, slices.Repeat([]string{"query " + sql}, 8), said(s))
		}
	})
	t.Run("a text the server does not prepare goes as it is", func(t *testing.T) {
		c, s := connTo(t, func(s *mysqltest.Session, com byte, arg []byte) error {
			if strings.HasPrefix(string(arg), "PREPARE") {
				s.Err(1295, "This command is not supported in the prepared statement protocol yet")
				return nil
			}
			return okHandler(s, com, arg)
		})
		ask(t, c, "SELECT 1", 6)
		require.Len(t, said(s), 7, "and is not tried again")
		require.Equal(t, "query SELECT 1", said(s)[6])
	})
	t.Run("a name the server does not know any more is prepared anew", func(t *testing.T) {
		fail := true
		c, s := connTo(t, func(s *mysqltest.Session, com byte, arg []byte) error {
			if fail && strings.HasPrefix(string(arg), "EXECUTE") {
				fail = false
				s.Err(sqlerr.UnknownStatement, "Unknown prepared statement handler (serval_1) given to EXECUTE")
				return nil
			}
			return okHandler(s, com, arg)
		})
		ask(t, c, "SELECT 1", 3)
		_, err := c.Exec(ctx, string(c.Often([]byte("SELECT 1"))))
		require.Equal(t, sqlerr.UnknownStatement, code(err))
		ask(t, c, "SELECT 1", 4)
		require.Equal(t, []string{"query SELECT 1", "query SELECT 1", "query SELECT 1", "query PREPARE serval_ FROM 'SELECT 1'", "query EXECUTE serval_"}, said(s)[5:])
	})
	t.Run("that a statement was prepared is no state of the session", func(t *testing.T) {
		c, _ := connTo(t, func(s *mysqltest.Session, com byte, arg []byte) error {
			ok := autocommit
			if strings.HasPrefix(string(arg), "PREPARE") {
				ok.Status |= wire.StatusSessionStateChanged
				ok.Tracked.StateChanged = true
			}
			s.OK(ok)
			return nil
		})
		ask(t, c, "SELECT 1", 4)
		require.False(t, c.changed)
	})
	t.Run("many texts take no more places than there are, and one asked for often keeps its own", func(t *testing.T) {
		c, s := connTo(t, okHandler)
		ask(t, c, "SELECT 1", 4)
		for i := range 40 {
			ask(t, c, "SELECT "+strings.Repeat("2", i+2), 1)
			ask(t, c, "SELECT 1", 1)
		}
		require.Equal(t, 1, strings.Count(strings.Join(said(s), "\n"), "PREPARE"))
		require.Len(t, c.often.texts, oftenTexts)
	})
	t.Run("behind a command that is not answered yet it goes as it is", func(t *testing.T) {
		c, _ := connTo(t, okHandler)
		ask(t, c, "SELECT 1", 4)
		c.Query([]byte("SELECT 2"))
		require.Equal(t, "SELECT 1", string(c.Often([]byte("SELECT 1"))))
	})
}
