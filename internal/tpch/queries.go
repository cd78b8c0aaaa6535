package tpch

import (
	"embed"
	"strings"
)

//go:embed queries/*.sql
var files embed.FS

// Query is one of the 22 queries.
type Query struct {
	Name string // q01 to q22
	SQL  string
}

// Queries are the 22 queries in MySQL's dialect, with the specification's
// validation parameters. An error is a file that cannot be read, which the
// tests of this package rule out.
func Queries() ([]Query, error) {
	entries, err := files.ReadDir("queries")
	if err != nil {
		return nil, err
	}
	var out []Query
	for _, e := range entries {
		text, err := files.ReadFile("queries/" + e.Name())
		if err != nil {
			return nil, err
		}
		sql := strings.TrimSuffix(strings.TrimSpace(string(text)), ";")
		out = append(out, Query{Name: strings.TrimSuffix(e.Name(), ".sql"), SQL: sql})
	}
	return out, nil
}
