package router

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// BenchmarkBindPointSelect is what a statement costs here once its plan is
// cached: shard and SQL of a point select.
func BenchmarkBindPointSelect(b *testing.B) {
	benchmarkBind(b, "SELECT id, total FROM orders WHERE user_id = 42")
}

// BenchmarkBindPrepared is the same with all values parameters.
func BenchmarkBindPrepared(b *testing.B) {
	cat := shop(b)
	sql := "SELECT id, total FROM orders WHERE user_id = ?"
	p, err := Plan(cat, "shop", parser.Parse([]byte(sql), parser.Options{}))
	require.NoError(b, err)
	args := &markers{textArgs: *argsOf(b, sql), values: argsOf(b, "SELECT id FROM users WHERE id = 42")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Bind(args, plan.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBindScatter(b *testing.B) {
	benchmarkBind(b, "SELECT id, name FROM users ORDER BY name LIMIT 10")
}

func BenchmarkBindInsert(b *testing.B) {
	benchmarkBind(b, "INSERT INTO users (id, name) VALUES (1, 'a')")
}

func benchmarkBind(b *testing.B, sql string) {
	cat := shop(b)
	p, err := Plan(cat, "shop", parser.Parse([]byte(sql), parser.Options{}))
	require.NoError(b, err)
	args := argsOf(b, sql)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Bind(args, plan.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlan is a plan-cache miss, parsing included.
func BenchmarkPlan(b *testing.B) {
	cat := shop(b)
	sql := []byte("SELECT id, total FROM orders WHERE user_id = 42")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Plan(cat, "shop", parser.Parse(sql, parser.Options{})); err != nil {
			b.Fatal(err)
		}
	}
}
