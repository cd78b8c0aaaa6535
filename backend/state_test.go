package backend

import (
	"context"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/internal/mysqltest"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

func vars(pairs ...string) []Var {
	var out []Var
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, Var{pairs[i], pairs[i+1]})
	}
	return out
}

func TestAppendSet(t *testing.T) {
	for name, tc := range map[string]struct {
		have, want State
		sql        string
	}{
		"nothing differs": {State{Vars: vars("a", "1")}, State{Vars: vars("a", "1")}, ""},
		"what is new and what is other is set": {
			State{Vars: vars("sql_mode", "''", "time_zone", "'+00:00'")},
			State{Vars: vars("lock_wait_timeout", "5", "sql_mode", "'ANSI'", "time_zone", "'+00:00'")},
			"SESSION lock_wait_timeout=5,SESSION sql_mode='ANSI',"},
		"what is not wanted goes back to the global value": {State{Vars: vars("sql_mode", "''")}, State{}, "SESSION sql_mode=DEFAULT,"},
		"what the init statement set goes back to that": {
			State{Vars: vars("character_set_results", "latin1", "net_write_timeout", "5")}, State{},
			"SESSION character_set_results=utf8mb4,SESSION net_write_timeout=600,"},
		"the checks that MySQL's DEFAULT turns off go back to the global value by name": {
			State{Vars: vars("foreign_key_checks", "0", "unique_checks", "0")}, State{},
			"SESSION foreign_key_checks=@@GLOBAL.foreign_key_checks,SESSION unique_checks=@@GLOBAL.unique_checks,"},
		"a character set brings its collation, so both go back": {
			State{Vars: vars("character_set_connection", "latin1")}, State{},
			"SESSION character_set_connection=utf8mb4,SESSION collation_connection=utf8mb4_general_ci,"},
		"a character set alone takes the server's collation for it": {
			State{Vars: vars("character_set_connection", "utf8mb3", "collation_connection", "utf8mb3_bin")},
			State{Vars: vars("character_set_connection", "utf8mb3")},
			"SESSION character_set_connection=utf8mb3,"},
		"a collation alone brings its character set": {
			State{}, State{Vars: vars("collation_connection", "latin1_bin")}, "SESSION collation_connection=latin1_bin,"},
		"user variables are quoted and unset by NULL": {
			State{UserVars: vars("old", "1")}, State{UserVars: vars("a`b", "2")}, "@`a``b`=2,@`old`=NULL,"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.sql, string(appendSet(nil, &tc.have, &tc.want)))
		})
	}
}

// A model server: whatever states follow one another, the statements sent lead
// to exactly the state wanted.
func TestDiffReachesTheStateWanted(t *testing.T) {
	state := rapid.Custom(func(t *rapid.T) State {
		m := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "sql_mode", "time_zone"}), rapid.SampledFrom([]string{"1", "2", "'x'"}), 0, 5).Draw(t, "vars")
		var s State
		for n, v := range m {
			s.Vars = append(s.Vars, Var{n, v})
		}
		sort.Slice(s.Vars, func(i, j int) bool { return s.Vars[i].Name < s.Vars[j].Name })
		return s
	})
	rapid.Check(t, func(t *rapid.T) {
		server, have := map[string]string{}, State{}
		for _, want := range rapid.SliceOfN(state, 1, 6).Draw(t, "states") {
			for _, set := range strings.Split(string(appendSet(nil, &have, &want)), ",") {
				if name, v, ok := strings.Cut(strings.TrimPrefix(set, "SESSION "), "="); ok && v == "DEFAULT" {
					delete(server, name)
				} else if ok {
					server[name] = v
				}
			}
			expect := map[string]string{}
			for _, v := range want.Vars {
				expect[v.Name] = v.SQL
			}
			if len(expect) != len(server) {
				t.Fatalf("%v is not %v", server, expect)
			}
			for n, v := range expect {
				if server[n] != v {
					t.Fatalf("%v is not %v", server, expect)
				}
			}
			have = want
		}
	})
}

func okHandler(s *mysqltest.Session, _ byte, _ []byte) error { s.OK(autocommit); return nil }

// asked drops what every connection says at its beginning.
func asked(s *mysqltest.Server) []string { return s.Log()[2:] }

func TestWant(t *testing.T) {
	ctx := context.Background()
	t.Run("only the difference is sent, before the command, and nothing the second time", func(t *testing.T) {
		c, s := connTo(t, okHandler)
		want := &State{DB: "shop", Vars: vars("sql_mode", "''")}
		for range 2 {
			c.Want(want)
			_, err := c.Exec(ctx, "SELECT 1")
			require.NoError(t, err)
		}
		require.Equal(t, []string{"init-db shop", "query SET SESSION sql_mode=''", "query SELECT 1", "query SELECT 1"}, asked(s))
	})
	t.Run("where the state can't be had the command never leaves", func(t *testing.T) {
		c, s := connTo(t, func(s *mysqltest.Session, com byte, _ []byte) error {
			if com == wire.ComInitDB {
				s.Err(1049, "Unknown database 'gone'")
			} else {
				s.OK(autocommit)
			}
			return nil
		})
		c.Want(&State{DB: "gone"})
		_, err := c.Exec(ctx, "DELETE FROM t")
		require.Equal(t, 1049, code(err))
		require.Equal(t, []string{"init-db gone"}, asked(s))
		require.False(t, c.reusable(err))
	})
	t.Run("a server that dies over the state has not seen the command", func(t *testing.T) {
		c, _ := connTo(t, func(*mysqltest.Session, byte, []byte) error { return mysqltest.ErrHangUp })
		c.Want(&State{DB: "shop"})
		_, err := c.Exec(ctx, "INSERT")
		require.Equal(t, sqlerr.ServerLost, code(err))
		require.True(t, sqlerr.SafeToRetry(err))
	})
	t.Run("what a session set itself is adopted, and undone for the next", func(t *testing.T) {
		c, s := connTo(t, func(s *mysqltest.Session, _ byte, arg []byte) error {
			ok := autocommit
			if string(arg) == "SET time_zone='UTC'" {
				ok.Tracked = wire.Tracked{StateChanged: true, Vars: []wire.TrackedVar{{Name: "time_zone", Value: "UTC"}}}
			}
			s.OK(ok)
			return nil
		})
		_, err := c.Exec(ctx, "SET time_zone='UTC'")
		require.NoError(t, err)
		require.False(t, c.reusable(nil), "nobody has said yet what it is now")
		c.Adopt(&State{Vars: vars("time_zone", "'UTC'")})
		require.True(t, c.reusable(nil))
		c.Want(zeroState)
		_, err = c.Exec(ctx, "SELECT 1")
		require.NoError(t, err)
		require.Equal(t, "query SET SESSION time_zone=DEFAULT", asked(s)[1])
	})
	t.Run("a variable that a procedure changed is set again by name", func(t *testing.T) {
		c, s := connTo(t, func(s *mysqltest.Session, _ byte, arg []byte) error {
			ok := autocommit
			if string(arg) == "CALL p()" {
				ok.Tracked = wire.Tracked{Vars: []wire.TrackedVar{{Name: "sql_mode", Value: "ANSI"}, {Name: "last_gtid", Value: "0-1-1"}}}
			}
			s.OK(ok)
			return nil
		})
		want := &State{Vars: vars("sql_mode", "''")}
		for _, q := range []string{"CALL p()", "SELECT 1"} {
			c.Want(want)
			_, err := c.Exec(ctx, q)
			require.NoError(t, err)
		}
		require.Equal(t, []string{"query SET SESSION sql_mode=''", "query CALL p()", "query SET SESSION sql_mode=''", "query SELECT 1"}, asked(s))
	})
	t.Run("a database that was dropped is chosen again", func(t *testing.T) {
		c, s := connTo(t, func(s *mysqltest.Session, _ byte, arg []byte) error {
			ok := autocommit
			if string(arg) == "DROP DATABASE shop" {
				ok.Tracked.SchemaChanged = true
			}
			s.OK(ok)
			return nil
		})
		want := &State{DB: "shop"}
		for _, q := range []string{"DROP DATABASE shop", "SELECT 1"} {
			c.Want(want)
			_, err := c.Exec(ctx, q)
			require.NoError(t, err)
		}
		require.Equal(t, "init-db shop", asked(s)[2])
	})
	t.Run("the same state costs nothing", func(t *testing.T) {
		c, _ := connTo(t, okHandler)
		require.Zero(t, testing.AllocsPerRun(100, func() { c.Want(zeroState) }))
	})
}
