package router

import (
	"strconv"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
)

// indexesOf are the table's keys as far as their columns are copied and the
// text names the first one: without them a server that has no hash join, or a
// correlated subquery, would go through the whole copy for each row.
func (p *planning) indexesOf(r *ref, f *plan.Fragment) []string {
	keys := r.entry.Indexes
	if len(f.PrimaryKey) == 0 {
		keys = append([]catalog.Index{plainIndex(r.entry)}, keys...)
	}
	named := strings.ToLower(p.st.Text)
	out := []string{}
	for _, k := range keys {
		sql := ""
		for i, c := range k {
			if !hasColumn(f.Columns, c.Name) || i == 0 && !strings.Contains(named, strings.ToLower(c.Name)) && !strings.Contains(named, "natural") {
				break
			}
			sql += pick(i > 0, ", ", "") + sqlval.QuoteName(c.Name)
			if c.Prefix > 0 {
				sql += "(" + strconv.Itoa(c.Prefix) + ")"
			}
		}
		if sql != "" {
			out = append(out, sql)
		}
	}
	primary := ""
	for i, k := range f.PrimaryKey {
		primary += pick(i > 0, ", ", "") + sqlval.QuoteName(k)
	}
	return widest(append(out, primary), len(out))
}

// plainIndex is the primary key as an index. Its columns of text are left out
// with what follows them: their lengths are not known.
func plainIndex(t *catalog.Table) catalog.Index {
	var out catalog.Index
	for _, k := range t.PrimaryKey {
		for i := range t.Columns {
			if c := &t.Columns[i]; strings.EqualFold(c.Name, k) {
				if isLong(c) {
					return out
				}
				out = append(out, catalog.IndexColumn{Name: c.Name})
			}
		}
	}
	return out
}

// isLong: a key on the column needs a length.
func isLong(c *catalog.Column) bool {
	return strings.Contains(c.DataType, "text") || strings.Contains(c.DataType, "blob")
}

// widest leaves of the first n keys those out that another key begins with.
func widest(keys []string, n int) []string {
	var out []string
	for i, k := range keys[:n] {
		covered := false
		for j, other := range keys {
			longer := len(other) > len(k) || len(other) == len(k) && j < i
			covered = covered || longer && strings.HasPrefix(other+", ", k+", ")
		}
		if !covered {
			out = append(out, k)
		}
	}
	return out
}
