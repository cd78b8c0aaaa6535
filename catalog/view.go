package catalog

import (
	"sort"
	"strings"
)

// View is one logical view: a view Serval keeps in serval_meta.views because
// what it is over does not stand on one server. Views over tables of one server
// are that server's own and not here. Immutable.
type View struct {
	Schema, Name string
	// Columns are the names of its columns in order.
	Columns []string
	// Definition is its SELECT as a server wrote it down: tables with their
	// schema, no *, names in backquotes, each item of the first SELECT with its
	// column's name. It reads alike in every sql_mode but those that Expand of
	// the router refuses.
	Definition string
	// Shown is the definition as SHOW CREATE VIEW and information_schema show it.
	Shown string
	// Listed are the columns SHOW CREATE VIEW lists behind the name.
	Listed []string
	// Algorithm, Definer, Security and Check are as in CREATE VIEW.
	Algorithm, Definer, Security, Check string
	// Charset and Collation are the connection's at creation. Literals: the
	// definition has text whose collation is the connection's and may matter.
	Charset, Collation string
	Literals           bool
	// Rows are the view's rows of information_schema's tables (COLUMNS, VIEWS,
	// TABLES) and of SHOW FULL COLUMNS (SHOW), each row by column name in upper
	// case. What names the view is as it was at creation.
	Rows map[string][]map[string]Field
}

// Field is one value of a row. Null wins over Text; Number: it is a number.
type Field struct {
	Text   string `json:"t,omitempty"`
	Null   bool   `json:"n,omitempty"`
	Number bool   `json:"d,omitempty"`
}

// ViewName is the key of a view, in lower case where FoldNames.
type ViewName struct{ Schema, Name string }

// View finds a logical view, nil if there is none of that name.
func (c *Catalog) View(schema, name string) *View {
	if len(c.Views) == 0 {
		return nil
	}
	if c.FoldNames {
		schema, name = strings.ToLower(schema), strings.ToLower(name)
	}
	return c.Views[ViewName{schema, name}]
}

// ViewsOf are the logical views of a schema by name.
func (c *Catalog) ViewsOf(schema string) []*View {
	if c.FoldNames {
		schema = strings.ToLower(schema)
	}
	var out []*View
	for k, v := range c.Views {
		if k.Schema == schema {
			out = append(out, v)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}
