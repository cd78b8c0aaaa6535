package router

import (
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
)

// sameStored is an expression: value, stored in the column of t, is what is
// there now. It is byte for byte, or as the column's type converts it.
func sameStored(t *ref, column string, value plan.Template) plan.Template {
	name := sqlval.QuoteName(t.alias) + "." + sqlval.QuoteName(column)
	around := func(before, after string) plan.Template {
		return append(append(text(before+"(("), value...), text(")"+after+")")...)
	}
	out := append(text("(CAST("+name+" AS BINARY) <=> "), around("CAST", " AS BINARY")...)
	c := t.column(column)
	if c == nil {
		return append(out, text(")")...)
	}
	var typed plan.Template
	switch c.DataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal":
		typed = around("ROUND", ", "+strconv.Itoa(c.Scale))
	case "double", "year", "enum", "set", "bit":
		typed = around("", "")
	case "date":
		typed = around("CAST", " AS DATE")
	case "datetime", "timestamp":
		typed = around("CAST", " AS DATETIME("+strconv.Itoa(c.Scale)+")")
	case "time":
		typed = around("CAST", " AS TIME(6)")
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
		charset, _, _ := strings.Cut(c.Collation, "_")
		typed = append(append(text("CAST("), around("CONVERT", " USING "+charset)...), text(" AS BINARY)")...)
		name = "CAST(" + name + " AS BINARY)"
		if c.DataType == "char" { // trailing spaces are not stored
			typed, name = append(append(text("RTRIM("), typed...), text(")")...), "RTRIM("+name+")"
		}
	}
	if typed != nil {
		out = append(append(append(out, text(" OR "+name+" <=> ")...), typed...), text(")")...)
	} else {
		out = append(out, text(")")...)
	}
	return out
}
