package router

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
)

// FuzzPlan: no text makes the planner, Bind or the printer panic, and every
// error is one a client can be shown.
func FuzzPlan(f *testing.F) {
	for _, sql := range caseTexts(f) {
		f.Add(sql)
	}
	cat := shop(f)
	f.Fuzz(func(t *testing.T, sql string) {
		var lx parser.Lexer
		var fp parser.Fingerprint
		if lx.Fingerprint([]byte(sql), 0, &fp) != nil {
			return
		}
		args := &textArgs{sql: []byte(sql), literals: fp.Literals}
		p, err := Plan(cat, "shop", parser.Parse([]byte(sql), parser.Options{}))
		if err != nil {
			var e *sqlerr.Error
			require.True(t, errors.As(err, &e), "%v", err)
			return
		}
		p.BindDescribe(args)
		plan.Format(p, nil)
		b, err := p.Bind(args, plan.Options{FirstNumber: 1, Exprs: []sqlval.Value{sqlval.StringValue("2026-11-01"), {}, {}}})
		var e *sqlerr.Error
		var weight *shardrule.WeightNeeded
		var exprs *plan.ErrNeedExprs
		require.True(t, err == nil || errors.As(err, &e) || errors.As(err, &weight) || errors.As(err, &exprs), "%v", err)
		if err == nil {
			require.NotEmpty(t, plan.Format(p, b))
		}
	})
}

// caseTexts are the SQL of all text cases: what is between "plan" and "----".
func caseTexts(f *testing.F) []string {
	files, err := filepath.Glob("testdata/plan/*.txt")
	require.NoError(f, err)
	var out []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		for _, part := range strings.Split(string(text), "\nplan")[1:] {
			_, rest, _ := strings.Cut(part, "\n")
			sql, _, _ := strings.Cut(rest, "\n----")
			out = append(out, sql)
		}
	}
	require.NotEmpty(f, out)
	return out
}
