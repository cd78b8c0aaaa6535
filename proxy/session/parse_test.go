package session

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

func texts(tokens []token) string {
	var out []string
	for _, t := range tokens {
		out = append(out, t.Text)
	}
	return strings.Join(out, "|")
}

func TestScan(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		mode parser.Mode
		want string
	}{
		"comments are skipped":                           {"SET /* a */ x -- b\n= 1 # c", 0, "SET|x|=|1"},
		"the inside of a versioned comment is read":      {"/*!40101 SET NAMES utf8 */", 0, "SET|NAMES|utf8"},
		"MariaDB's own versioned comment too":            {"/*M!100100 SET x = 1 */ ;", 0, "SET|x|=|1|;"},
		"a string ends behind an escaped quote":          {`SET @a = 'it\'s', @b = 2`, 0, `SET|@|a|=|'it\'s'|,|@|b|=|2`},
		"a backslash is plain with NO_BACKSLASH_ESCAPES": {`SET @a = 'x\', @b = 2`, parser.NoBackslashEscapes, `SET|@|a|=|'x\'|,|@|b|=|2`},
		"a doubled quote is in the string":               {"'a''b' 'c'", 0, "'a''b'|'c'"},
		"a name may hold anything":                       {"`a``b, c`.d", 0, "`a``b, c`|.|d"},
		"two minus signs alone are no comment":           {"1--1", 0, "1|-|-|1"},
		"an unclosed string ends with the text":          {"SET x = 'abc", 0, "SET|x|=|'abc"},
		"an unclosed comment ends the text":              {"SET x /* abc", 0, "SET|x"},
		"assignment and system variable are one token":   {"@@a := @b", 0, "@@|a|:=|@|b"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, texts(scan(c.text, c.mode))) })
	}
}

func TestScanNeverPanicsAndKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("ab`'\"\\/*!-# \n@:=,()é0"))).Draw(t, "text")
		mode := parser.Mode(rapid.IntRange(0, 31).Draw(t, "mode"))
		at := 0
		for _, tok := range scan(text, mode) {
			require.LessOrEqual(t, at, tok.Start)
			require.Less(t, tok.Start, tok.End)
			require.Equal(t, text[tok.Start:tok.End], tok.Text)
			_ = tok.name()
			at = tok.End
		}
	})
}

func TestQuotedTextReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		q := quoteText(s)
		if strings.HasPrefix(q, "x'") {
			require.Equal(t, fmt.Sprintf("x'%x'", s), q)
			return
		}
		require.Equal(t, s, unquote(q))
		require.NotContains(t, q, `\`, "it must read the same without backslash escapes")
	})
}

func TestParseSet(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"several at once":            {"SET @a = 1, b = 'x,y', @@session.c := f(1, 2)", "user a=1; system b='x,y'; system c=f(1, 2)"},
		"LOCAL is SESSION":           {"SET LOCAL a = 1, @@local.b = 2", "system a=1; system b=2"},
		"names":                      {"SET NAMES utf8mb4 COLLATE utf8mb4_bin", "names names=NAMES utf8mb4 COLLATE utf8mb4_bin"},
		"character set":              {"SET CHARACTER SET latin1", "names names=CHARACTER SET latin1"},
		"next transaction":           {"SET TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE", "next transaction=READ ONLY, ISOLATION LEVEL SERIALIZABLE"},
		"session's transactions":     {"SET SESSION TRANSACTION READ WRITE", "transaction transaction=READ WRITE"},
		"a variable of a dump":       {"/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='' */", "user old_sql_mode=@@SQL_MODE; system sql_mode=''"},
		"a quoted user variable":     {"SET @`My Var` = 1, @a.b = 2", "user my var=1; user a.b=2"},
		"a variable named a keyword": {"SET transaction_isolation = 'READ-COMMITTED'", "system transaction_isolation='READ-COMMITTED'"},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := parseSet(c.text, 0)
			require.NoError(t, err)
			var got []string
			for _, a := range all {
				kind := map[assignmentKind]string{assignSystem: "system", assignUser: "user", assignNames: "names", assignTransaction: "transaction"}[a.Kind]
				if a.Next {
					kind = "next"
				}
				got = append(got, kind+" "+a.Name+"="+a.Value)
			}
			require.Equal(t, c.want, strings.Join(got, "; "))
		})
	}
}

func TestParseSetRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"SET GLOBAL a = 1":                 "Serval refuses SET GLOBAL a",
		"SET @@global.a = 1":               "Serval refuses SET GLOBAL a",
		"SET @@SESSION.SQL_LOG_BIN = 0":    "Serval refuses SET sql_log_bin",
		"SET a = 1, gtid_next = 'x'":       "Serval refuses SET gtid_next",
		"SET b = 1, PERSIST a = 1":         "Serval refuses SET PERSIST a",
		"SET GLOBAL TRANSACTION READ ONLY": "Serval refuses SET GLOBAL TRANSACTION",
		"SET ROLE x":                       "Serval refuses SET ROLE",
		"SET DEFAULT ROLE x TO y":          "Serval refuses SET ROLE",
		"SET":                              "error in your SQL syntax",
		"SET a":                            "error in your SQL syntax",
		"SET a = 1,":                       "",
		"SET , a = 1":                      "error in your SQL syntax",
		"SET a =":                          "error in your SQL syntax",
	} {
		_, err := parseSet(text, 0)
		if want == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, want, text)
	}
}

func TestSettings(t *testing.T) {
	s := newSettings()
	before := s.plain
	s.set("time_zone", "'+01:00'")
	s.set("sql_mode", "'ANSI_QUOTES,NO_AUTO_VALUE_ON_ZERO'")
	s.setUser("b", "2")
	s.setUser("a", "1")
	require.Empty(t, before.Vars, "states that connections hold do not change")
	require.Equal(t, []backend.Var{{Name: "sql_mode", SQL: "'ANSI_QUOTES,NO_AUTO_VALUE_ON_ZERO'"}, {Name: "time_zone", SQL: "'+01:00'"}}, s.plain.Vars)
	require.Equal(t, []backend.Var{{Name: "a", SQL: "1"}, {Name: "b", SQL: "2"}}, s.plain.UserVars)
	require.Equal(t, parser.AnsiQuotes, s.mode)
	require.True(t, s.zeroIsValue)
	s.use("shop")
	require.Equal(t, "shop", s.state(true).DB)
	require.Same(t, s.state(true), s.state(true), "connections compare states by address")
	require.Empty(t, s.state(false).DB)
	s.setUser("a", "NULL")
	require.Len(t, s.state(true).UserVars, 1)
	s.unset("time_zone")
	_, ok := s.value("time_zone")
	require.False(t, ok)
}

func TestOptions(t *testing.T) {
	o := newOptions("")
	require.NoError(t, o.set("serval_consistency", "GLOBAL"))
	require.NoError(t, o.set("serval_transaction", "single"))
	require.NoError(t, o.set("serval_timeout", "1500ms"))
	v, ok := o.value("serval_timeout")
	require.True(t, ok)
	require.Equal(t, "1.5", v)
	require.NoError(t, o.set("serval_max_rows", "5"))
	v, ok = o.value("serval_max_rows")
	require.True(t, ok)
	require.Equal(t, "5", v)
	require.Error(t, o.set("serval_max_rows", "many"))
	for name, value := range map[string]string{
		"serval_consistency": "maybe", "serval_transaction": "all", "serval_timeout": "-1", "serval_max_rows": "-5", "serval_nothing": "1",
	} {
		require.Error(t, o.set(name, value), name)
	}
	require.NoError(t, o.set("serval_transaction", "Atomic"))
	require.Equal(t, newOptions("").transaction, o.transaction, "it is the default")
	for _, name := range []string{"serval_consistency", "serval_transaction", "serval_timeout", "serval_max_rows"} {
		require.NoError(t, o.set(name, "DEFAULT"))
	}
	require.Equal(t, newOptions(""), o)
}

func TestSessionValuesArePutIn(t *testing.T) {
	s := &Session{c: &Client{ID: 7, User: &catalog.User{Name: "app"}, Remote: "10.0.0.1:99"}, settings: newSettings(), autocommit: true, lastInsertID: 5, foundRows: -1}
	s.settings.use("shop")
	for text, want := range map[string]string{
		"SELECT LAST_INSERT_ID() FROM t":                      "SELECT 5 AS `LAST_INSERT_ID()` FROM t",
		"SELECT last_insert_id() AS i, a FROM t":              "SELECT 5 AS i, a FROM t",
		"SELECT LAST_INSERT_ID() i FROM t":                    "SELECT 5 i FROM t",
		"SELECT LAST_INSERT_ID() + 1 FROM t":                  "SELECT 5 + 1 AS `LAST_INSERT_ID() + 1` FROM t",
		"SELECT LAST_INSERT_ID(a) FROM t":                     "SELECT LAST_INSERT_ID(a) FROM t",
		"SELECT a FROM t WHERE a = @@session.autocommit":      "SELECT a FROM t WHERE a = 1",
		"SELECT 'LAST_INSERT_ID()', @@sql_mode":               "SELECT 'LAST_INSERT_ID()', @@sql_mode",
		"INSERT INTO t VALUES (LAST_INSERT_ID(), DATABASE())": "INSERT INTO t VALUES (5, 'shop')",
		"SELECT CONCAT(DATABASE(), USER()) FROM t":            "SELECT CONCAT('shop', 'app@10.0.0.1') AS `CONCAT(DATABASE(), USER())` FROM t",
		"SELECT t.database(), FOUND_ROWS() FROM t":            "SELECT t.database(), FOUND_ROWS() FROM t",
	} {
		tokens := scan(text, 0)
		require.Equal(t, want, splice(text, tokens, s.findSession(tokens)), text)
		if want != text {
			require.True(t, mayNameSession([]byte(text)), text)
		}
	}
	require.False(t, mayNameSession([]byte("SELECT a FROM t WHERE id = 1")))
	require.True(t, mayNameSession([]byte("SELECT current_user")))
}

func TestUserVarSQL(t *testing.T) {
	for name, c := range map[string]struct {
		col       wire.Column
		value     string
		collation string
		want      string
	}{
		"an integer":              {wire.Column{Type: wire.TypeLongLong}, "5", "binary", "5"},
		"a decimal":               {wire.Column{Type: wire.TypeNewDecimal}, "1.50", "binary", "1.50"},
		"a double stays a double": {wire.Column{Type: wire.TypeDouble}, "1.5", "binary", "1.5e0"},
		"bytes":                   {wire.Column{Type: wire.TypeLongBlob}, "\x00'", "binary", "x'0027'"},
		"text":                    {wire.Column{Type: wire.TypeLongBlob}, "é", "latin1_swedish_ci", "CONVERT(_utf8mb4 x'c3a9' USING latin1) COLLATE latin1_swedish_ci"},
		"empty text":              {wire.Column{Type: wire.TypeVarString}, "", "utf8mb4_bin", "CONVERT('' USING utf8mb4) COLLATE utf8mb4_bin"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, userVarSQL(c.col, []byte(c.value), c.collation, "utf8mb4"))
		})
	}
	require.Equal(t, "NULL", userVarSQL(wire.Column{}, nil, "", "utf8mb4"))
}

func TestLogicalNames(t *testing.T) {
	b := &plan.Bound{Tasks: plan.Tasks{{Leaf: &plan.Route{}, Tasks: []plan.Task{{Rename: &plan.Rename{Database: "shop_03", LogicalDatabase: "shop"}}}}}}
	require.Equal(t, "Table 'shop.users' of my_shop_03", logicalNames(b, 0, "Table 'shop_03.users' of my_shop_03"))
	require.Equal(t, "as it is", logicalNames(nil, 0, "as it is"))
}

func TestPlansForgetTheOlderHalf(t *testing.T) {
	p := NewPlans(64)
	for i := range 10_000 {
		p.store(fmt.Appendf(nil, "key %d", i), &planned{})
	}
	require.LessOrEqual(t, p.Len(), 64)
	require.NotNil(t, p.lookup([]byte("key 9999")))
	require.Nil(t, p.lookup([]byte("key 1")))
	p.store(make([]byte, maxKey+1), &planned{})
	require.Nil(t, p.lookup(make([]byte, maxKey+1)), "a text too long is planned each time")
}

func TestWeightsAreBounded(t *testing.T) {
	w := NewWeights()
	for i := range maxWeights + 10 {
		w.store(weightKey{text: fmt.Sprint(i)}, []byte{1})
	}
	require.LessOrEqual(t, len(w.young)+len(w.old), maxWeights)
	s := weigher{shared: w, charset: "latin1"}
	require.Equal(t, weightKey{collation: "c", text: "a"}, s.key("c", []byte("a")), "ASCII is the same in every character set")
	require.Equal(t, weightKey{charset: "latin1", collation: "c", text: "\xe9"}, s.key("c", []byte("\xe9")))
}

func TestShowLimit(t *testing.T) {
	for text, want := range map[string]string{
		"": "0 1024 true", "LIMIT 5": "0 5 true", "LIMIT 2, 3": "2 3 true", "LIMIT x": "0 0 false", "LIKE 'x'": "0 0 false", "LIMIT -1": "0 0 false",
	} {
		offset, count, ok := showLimit(scan(text, 0))
		if !ok {
			offset, count = 0, 0
		}
		require.Equal(t, want, fmt.Sprint(offset, count, ok), text)
	}
}
