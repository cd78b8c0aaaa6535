package router

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/parser"
)

func TestTablesThatGetTheRuleOfNewTables(t *testing.T) {
	for name, c := range map[string]struct {
		sql, by, want string
	}{
		"by the primary key behind the column":      {"CREATE TABLE pets (id INT PRIMARY KEY, a INT)", "", "shop.pets.id"},
		"by the primary key behind all columns":     {"CREATE TABLE pets (id INT, Code INT, PRIMARY KEY (Code))", "", "shop.pets.Code"},
		"with its schema":                           {"CREATE TABLE IF NOT EXISTS shop.pets (id INT PRIMARY KEY)", "", "shop.pets.id"},
		"not by several columns":                    {"CREATE TABLE pets (a INT, b INT, PRIMARY KEY (a, b))", "", ""},
		"not by the beginning of one":               {"CREATE TABLE pets (a VARCHAR(90), PRIMARY KEY (a(10)))", "", ""},
		"not without a primary key":                 {"CREATE TABLE pets (a INT, UNIQUE (a))", "", ""},
		"by a column that is named":                 {"CREATE TABLE pets (a INT, tenant INT, PRIMARY KEY (a, tenant))", "tenant", "shop.pets.tenant"},
		"not where that is not there":               {"CREATE TABLE pets (a INT PRIMARY KEY)", "tenant", ""},
		"not a temporary one":                       {"CREATE TEMPORARY TABLE pets (id INT PRIMARY KEY)", "", ""},
		"not one made like another":                 {"CREATE TABLE pets LIKE users", "", ""},
		"not one made of a query":                   {"CREATE TABLE pets (id INT PRIMARY KEY) SELECT 1 AS id", "", ""},
		"not one with a rule":                       {"CREATE TABLE users (id INT PRIMARY KEY)", "", ""},
		"not one that is at home":                   {"CREATE TABLE settings (id INT PRIMARY KEY)", "", ""},
		"not one of a schema that does not say how": {"CREATE TABLE other.pets (id INT PRIMARY KEY)", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cat := shop(t)
			cat.Schemas["shop"].NewTables = &catalog.NewTables{Column: c.by}
			got := ""
			if schema, table, column, ok := GetsRule(cat, "shop", parser.Parse([]byte(c.sql), parser.Options{})); ok {
				got = schema + "." + table + "." + column
			}
			require.Equal(t, c.want, got)
		})
	}
}
