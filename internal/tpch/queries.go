package tpch

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed queries/*.sql
var files embed.FS

// Query is one of the 22 queries.
type Query struct {
	// Name is q01 to q22; what follows tells another way to write the query.
	Name string
	// Before and After are statements around it, empty for most.
	Before, SQL, After string
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
		q := Query{Name: strings.TrimSuffix(e.Name(), ".sql")}
		switch parts := strings.Split(strings.TrimSuffix(strings.TrimSpace(string(text)), ";"), ";\n"); len(parts) {
		case 1:
			q.SQL = parts[0]
		case 3:
			q.Before, q.SQL, q.After = parts[0], strings.TrimSpace(parts[1]), strings.TrimSpace(parts[2])
		default:
			return nil, fmt.Errorf("%s has %d statements", e.Name(), len(parts))
		}
		out = append(out, q)
	}
	return out, nil
}
