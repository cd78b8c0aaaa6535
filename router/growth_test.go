package router

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/parser"
)

// A miss of the plan cache must not walk the catalog: it may have thousands of
// tables of hundreds of shards each.
func TestPlanningDoesNotGrowWithTheCatalog(t *testing.T) {
	small := shop(t)
	large := *small
	large.Schemas = maps.Clone(small.Schemas)
	s := *large.Schemas["shop"]
	s.Tables = maps.Clone(s.Tables)
	for i := range 500 {
		users := *s.Tables["users"]
		users.Name = fmt.Sprintf("users%d", i)
		s.Tables[users.Name] = &users
	}
	large.Schemas["shop"] = &s
	for _, sql := range []string{
		"SELECT id, total FROM orders WHERE user_id = 42",
		"SELECT id, name FROM users ORDER BY name LIMIT 10",
		"SELECT age, COUNT(*), AVG(id) FROM users GROUP BY age",
		"SELECT u.name, o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 3",
		"SELECT u.name, o.total FROM users u JOIN orders o ON o.id = u.age",
		"INSERT INTO users (id, name) VALUES (1, 'a'), (2, 'b')",
		"UPDATE users SET name = 'x' WHERE id = 1",
		"DELETE FROM users WHERE age > 5",
		"UPDATE users SET age = 0 ORDER BY id LIMIT 10",
	} {
		t.Run(sql, func(t *testing.T) {
			allocs := func(cat *catalog.Catalog) float64 {
				return testing.AllocsPerRun(10, func() {
					if _, err := Plan(cat, "shop", parser.Parse([]byte(sql), parser.Options{})); err != nil {
						t.Fatal(err)
					}
				})
			}
			require.InDelta(t, allocs(small), allocs(&large), 10)
		})
	}
}
