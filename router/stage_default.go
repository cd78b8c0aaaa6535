package router

import (
	"regexp"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/router/plan"
)

// constant is a default that is the same in any place, in any sql_mode and
// character set.
var constant = regexp.MustCompile(`(?i)^(null|-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?|'[^'\\[:^ascii:]]*'|b'[01]*'|(current_timestamp|now|curdate|current_date)(\([0-6]?\))?)$`)

// defaultOf is DEFAULT(column). JSON_TABLE's DEFAULT has no parenthesis.
var defaultOf = regexp.MustCompile(`(?i)\bDEFAULT\s*\(`)

// defaultText is what DEFAULT or DEFAULT(column), as the value of a column of
// t, stands for; nil where that is not certain.
func defaultText(t *ref, d *ast.DefaultExpr, column string) plan.Template {
	if d.Name != nil {
		column = d.Name.Name.O
	}
	c := t.column(column)
	switch {
	case c == nil || c.Generated:
	case c.AutoIncrement || foldEqual(column, t.entry.AutoIncrement):
		if d.Name == nil {
			return text("NULL") // for which a number is made
		}
	case c.Default == "" && c.Nullable:
		return text("NULL")
	case d.Name != nil && isNow(c.Default): // which is NULL to MySQL
	case constant.MatchString(c.Default):
		return text(c.Default)
	}
	return nil
}
