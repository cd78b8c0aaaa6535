package catalog

import (
	"regexp"
	"strings"

	"github.com/servaldb/serval/shardrule"
)

// placed is a name where a program's text may have a table's, with the
// database before it, if it has one.
var placed = regexp.MustCompile("(?i)(?:\\b" + beforeTable + "(?:\\s+" + beforeTable + ")*|,)\\s+((?:`(?:[^`]|``)+`|[\\w$]+)\\s*\\.\\s*)?(`(?:[^`]|``)+`|[\\w$\u0080-\U0010ffff]+)")

const beforeTable = `(?:from|join|into|update|table|insert|replace|delete|ignore|low_priority|quick|truncate)`

// writes are the words before the name of a table that is written.
var writes = regexp.MustCompile(`(?i)^(into|update|insert|replace|delete|truncate|table|ignore|low_priority|quick)\b`)

// NamedBy is a table that the text of a stored program of the schema reads or
// writes though its server has not all of the table's rows, or must not change
// its copy alone; nil for none. It may name one that is not meant: a column
// behind a comma.
func (c *Catalog) NamedBy(schema, text string) *Table {
	for _, m := range placed.FindAllStringSubmatch(text, -1) {
		in := schema
		if m[1] != "" {
			in = unquoted(strings.TrimRight(strings.TrimSpace(m[1]), ". \t\r\n"))
		}
		t := c.Table(in, unquoted(m[2]))
		if t == nil || t.Placement == nil {
			continue
		}
		switch p := t.Placement; p.Kind {
		case shardrule.Sharded:
			return t
		case shardrule.Global:
			if writes.MatchString(m[0]) {
				return t
			}
		case shardrule.Whole:
			if len(p.Shards) != 1 || p.Shards[0].Cluster != c.HomeOf(schema) {
				return t
			}
		}
	}
	return nil
}

func unquoted(name string) string {
	if strings.HasPrefix(name, "`") {
		return strings.ReplaceAll(name[1:len(name)-1], "``", "`")
	}
	return name
}
