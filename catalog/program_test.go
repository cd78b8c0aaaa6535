package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

func TestNamedByFindsTablesOfOtherServers(t *testing.T) {
	table := func(name string, kind shardrule.Kind, clusters ...string) *catalog.Table {
		p := &shardrule.Placement{Kind: kind}
		for _, c := range clusters {
			p.Shards = append(p.Shards, topology.Shard{Cluster: c})
		}
		return &catalog.Table{Name: name, Placement: p}
	}
	c := &catalog.Catalog{Home: "c0", Schemas: map[string]*catalog.Schema{"shop": {Name: "shop", Home: "c0", Tables: map[string]*catalog.Table{
		"users": table("users", shardrule.Sharded, "c0", "c1"), "countries": table("countries", shardrule.Global, "c0", "c1"),
		"here": table("here", shardrule.Whole, "c0"), "there": table("there", shardrule.Whole, "c1"),
	}}}}
	for text, want := range map[string]string{
		"UPDATE users SET age = 1":                                       "users",
		"BEGIN SELECT COUNT(*) INTO n FROM `shop` . `users`; END":        "users",
		"INSERT INTO log SELECT id FROM a, users WHERE 1":                "users",
		"SET @x = 'DELETE FROM users'; PREPARE s FROM @x":                "users",
		"INSERT INTO log VALUES (NEW.users)":                             "",
		"DECLARE users INT; SET users = 1":                               "",
		"UPDATE other.users SET age = 1":                                 "",
		"SELECT name FROM countries":                                     "",
		"UPDATE countries SET name = 'x'":                                "countries",
		"INSERT IGNORE INTO countries VALUES (1)":                        "countries",
		"SELECT * FROM here JOIN there USING (id)":                       "there",
		"SELECT * FROM here":                                             "",
		"SELECT 1 FROM(users)":                                           "users",
		"SELECT 1 FROM`users`":                                           "users",
		"SELECT 1 FROM /* all */ users":                                  "users",
		"SELECT 1 FROM here,users":                                       "users",
		"SELECT 1 FROM (SELECT 1 FROM here WHERE a IN (1, 2)) d,\nusers": "users",
		"select `shop`.`here`.`a` AS `a` from (`shop`.`here` join `shop`.`users` on((1 = 1)))": "users",
		"SELECT a, users FROM here WHERE f(a, users)":                                          "",
		"INSERT INTO here (a, users) VALUES (1, users)":                                        "",
		"RETURN CONCAT(x, users)":                                                              "",
		"DELETE LOW_PRIORITY QUICK FROM users":                                                 "users",
		"SELECT name FROM here, countries":                                                     "",
		"DELETE FROM here; SELECT name INTO x FROM countries":                                  "",
		"CREATE TEMPORARY TABLE t SELECT * FROM users_of_the_week":                             "",
	} {
		got := ""
		if t := c.NamedBy("shop", text); t != nil {
			got = t.Name
		}
		require.Equal(t, want, got, text)
	}
}

func TestStraysAreFoundThroughEachOther(t *testing.T) {
	sharded := &catalog.Table{Name: "users", Placement: &shardrule.Placement{Kind: shardrule.Sharded}}
	c := &catalog.Catalog{Home: "c0", Schemas: map[string]*catalog.Schema{"shop": {Name: "shop", Home: "c0", Tables: map[string]*catalog.Table{"users": sharded}}}}
	s := c.StraysOf([]catalog.Program{
		{Kind: "FUNCTION", Schema: "shop", Name: "twice", Text: "RETURN 2 * Many()"},
		{Kind: "TRIGGER", Schema: "shop", Name: "counts", On: "log", Text: "SET NEW.n = twice()"},
		{Kind: "FUNCTION", Schema: "elsewhere", Name: "many", Text: "RETURN (SELECT COUNT(*) FROM shop.users)"},
		{Kind: "FUNCTION", Schema: "shop", Name: "fine", Text: "RETURN 1"},
		{Kind: "VIEW", Schema: "shop", Name: "All", Text: "select 1 from `shop`.`log` union select `shop`.`fine`() from `shop`.`users`"},
		{Kind: "TRIGGER", Schema: "shop", Name: "fine", On: "quiet", Text: "SET NEW.n = fine()"},
	})
	for _, name := range []string{"twice", "TWICE"} {
		at, ok := c.Stray(s.Functions, "shop", name)
		require.True(t, ok)
		require.Equal(t, catalog.Stray{Name: "twice", Table: "users"}, at)
	}
	require.Len(t, s.Functions, 2)
	require.Len(t, s.Views, 1)
	_, ok := c.Stray(s.Views, "shop", "all")
	require.True(t, ok)
	at, ok := c.Stray(s.Triggers, "shop", "log")
	require.True(t, ok)
	require.Equal(t, catalog.Stray{Name: "counts", Table: "users"}, at)
	require.Len(t, s.Triggers, 1)
}
