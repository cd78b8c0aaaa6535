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
		"UPDATE users SET age = 1":                                 "users",
		"BEGIN SELECT COUNT(*) INTO n FROM `shop` . `users`; END":  "users",
		"INSERT INTO log SELECT id FROM a, users WHERE 1":          "users",
		"SET @x = 'DELETE FROM users'; PREPARE s FROM @x":          "users",
		"INSERT INTO log VALUES (NEW.users)":                       "",
		"DECLARE users INT; SET users = 1":                         "",
		"UPDATE other.users SET age = 1":                           "",
		"SELECT name FROM countries":                               "",
		"UPDATE countries SET name = 'x'":                          "countries",
		"INSERT IGNORE INTO countries VALUES (1)":                  "countries",
		"SELECT * FROM here JOIN there USING (id)":                 "there",
		"SELECT * FROM here":                                       "",
		"CREATE TEMPORARY TABLE t SELECT * FROM users_of_the_week": "",
	} {
		got := ""
		if t := c.NamedBy("shop", text); t != nil {
			got = t.Name
		}
		require.Equal(t, want, got, text)
	}
}
