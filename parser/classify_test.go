package parser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

var kinds = map[Kind]string{
	KindOther: "other", KindSelect: "select", KindInsert: "insert", KindUpdate: "update", KindDelete: "delete",
	KindDDL: "ddl", KindBegin: "begin", KindCommit: "commit", KindRollback: "rollback",
	KindSavepoint: "savepoint", KindSet: "set", KindUse: "use", KindShow: "show", KindExplain: "explain",
	KindKill: "kill", KindLock: "lock", KindCall: "call", KindDo: "do", KindPrepare: "prepare",
	KindLoad: "load", KindXA: "xa", KindAdmin: "admin",
}

// TestClassify prints for each line of a case its kind, whether TiDB's parser
// read it, and its tables.
func TestClassify(t *testing.T) {
	datadriven.RunTest(t, "testdata/classify.txt", func(t *testing.T, d *datadriven.TestData) string {
		var b strings.Builder
		for _, line := range strings.Split(d.Input, "\n") {
			s := Parse([]byte(line), Options{Mode: modeOf(d)})
			how := "read"
			switch {
			case s.Node == nil:
				how = "rejected"
			case !s.Params:
				how = "read with literals"
			}
			fmt.Fprintf(&b, "%s, %s:", kinds[s.Kind], how)
			for _, n := range s.Tables {
				fmt.Fprintf(&b, " %s", strings.TrimPrefix(n.Schema+"."+n.Table, "."))
			}
			b.WriteString("\n")
		}
		return b.String()
	})
}

// TestClassifyAgreesWithTheTree: where TiDB's parser reads a statement, the
// tokens alone give the same kind and at least its tables.
func TestClassifyAgreesWithTheTree(t *testing.T) {
	for _, sql := range statements(t) {
		s := Parse([]byte(sql), Options{})
		if s.Node == nil {
			continue
		}
		kind, tables := Classify([]byte(s.Text), 0)
		require.Equal(t, kinds[s.Kind], kinds[kind], "of %s", sql)
		switch kind {
		case KindXA, KindBegin, KindCommit, KindRollback, KindSavepoint, KindUse, KindKill:
			continue
		}
		for _, table := range s.Tables {
			require.Contains(t, tables, table, "of %s", sql)
		}
	}
}

// TestFacts prints the facts that hold.
func TestFacts(t *testing.T) {
	datadriven.RunTest(t, "testdata/facts.txt", func(t *testing.T, d *datadriven.TestData) string {
		s := Parse([]byte(d.Input), Options{})
		text := fmt.Sprintf("%+v", *s.Facts())
		var out []string
		for _, field := range strings.Split(strings.Trim(text, "{}"), " ") {
			if strings.HasSuffix(field, ":false") || strings.HasSuffix(field, ":[]") || field == "Doubt:" {
				continue
			}
			out = append(out, strings.TrimSuffix(field, ":true"))
		}
		if s.Node == nil {
			out = append(out, "(rejected)")
		}
		return strings.Join(out, " ") + "\n"
	})
}

// TestHints prints the hints and the text servers get.
func TestHints(t *testing.T) {
	datadriven.RunTest(t, "testdata/hints.txt", func(t *testing.T, d *datadriven.TestData) string {
		s := Parse([]byte(d.Input), Options{})
		if s.HintErr != nil {
			return fmt.Sprintf("%v\n", s.HintErr)
		}
		return fmt.Sprintf("%+v\n%s\n", s.Hints, s.Text)
	})
}

func TestOperandsAreValuesOrConstants(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"SELECT 5", "0"}, {"SELECT -5", "-0"}, {"SELECT (5)", "0"}, {"SELECT - - 5", "0"}, {"SELECT +5", "0"},
		{"SELECT NULL", `"" 0`}, {"SELECT 1 + 2", "none"}, {"SELECT a FROM t", "none"},
		{"SELECT INTERVAL 5 DAY + '2026-01-01'", "none"}, {"SELECT ?", "0"},
		{"SELECT TRUE", "none"}, {"SELECT _latin1'x'", "none"}, {"SELECT 'a' 'b'", `"ab" 4`},
		{"SELECT N'x'", "none"},
		// In a connection of latin1 the first is another text than the second.
		{"SELECT _utf8mb4'é'", "none"}, {"SELECT 'é'", "0"}, {"SELECT 'é' 'x'", "none"}, {"SELECT _utf8mb4'e'", `"e" 4`}, {"SELECT _binary'é'", `"é" 5`},
	} {
		s := Parse([]byte(c.sql), Options{})
		require.NoError(t, s.Why, c.sql)
		require.Equal(t, c.want, describeOperand(s), c.sql)
	}
}

func TestPiecesCutAtMarkersOnly(t *testing.T) {
	s := Parse([]byte("SELECT '?' 'x', `?`, 5 FROM t WHERE a = ? AND b IN (6, -7)"), Options{})
	var out []string
	for _, p := range s.Pieces(0, len(s.Text)) {
		if p.Value >= 0 {
			out = append(out, fmt.Sprint(p.Value))
			continue
		}
		out = append(out, p.Text)
	}
	require.Equal(t, []string{"SELECT '?' 'x', `?`, ", "0", " FROM t WHERE a = ", "1", " AND b IN (", "2", ", -", "3", ")"}, out)
	require.Equal(t, []Piece{{Text: "SELECT", Value: -1}}, s.Pieces(0, 6))
	require.Empty(t, s.Pieces(3, 3))
}

func TestValuesBehindFoldedTuplesAreNumberedOn(t *testing.T) {
	s := Parse([]byte("INSERT INTO t (a, b) VALUES (1, 2), (3, 4), (5, 6) ON DUPLICATE KEY UPDATE a = 7, b = 8"), Options{})
	require.True(t, s.Folded)
	require.Equal(t, 0, s.FirstRow)
	require.Equal(t, 2, s.RowWidth)
	require.Equal(t, "INSERT INTO t (a, b) VALUES(?,?) ON DUPLICATE KEY UPDATE a = ?, b = ?", s.Text)
	for i, m := range s.Markers {
		require.Equal(t, i, m.Value)
		require.Equal(t, byte('?'), s.Text[m.Offset])
	}
	require.Len(t, s.Markers, 4)
}

func TestExpressionsAreFoundInTheText(t *testing.T) {
	s := Parse([]byte("SELECT MAX( a  * 2 ), SUM(IF(b, 'x' , c)) k, t.`d`, (e + 1) AND f FROM t"), Options{})
	require.NoError(t, s.Why)
	var out []string
	for _, e := range expressionsOf(s) {
		span, err := s.ExprSpan(e)
		require.NoError(t, err)
		require.Equal(t, s.Slice(span), s.ExprText(e))
		out = append(out, s.Slice(span))
	}
	require.Equal(t, []string{
		"MAX( a  * ? )", "a  * ?", "SUM(IF(b, ? , c))", "IF(b, ? , c)", "t.`d`", "(e + ?) AND f",
	}, out)
}
