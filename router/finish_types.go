package router

import (
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
)

// carried is a column's definition in the temporary table and the expression
// that brings its value there without loss; not ok for types of which that is
// not sure.
func (p *planning) carried(c *catalog.Column, alias string) (def, expr string, carry plan.Carry, ok bool) {
	name := sqlval.QuoteName(alias) + "." + sqlval.QuoteName(c.Name)
	expr = "CAST(" + name + " AS BINARY)"
	collated := false
	def = c.SQLType
	switch c.DataType {
	case "date", "datetime", "time":
		def, _, _ = strings.Cut(def, " /*") // MariaDB's note on how old tables store it
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year",
		"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob",
		// In the servers' own form: the SRID and WKB, in the order it is stored.
		"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection",
		"vector":
	case "float", "double":
		expr = "CAST(" + name + " + 0e0 AS BINARY)" // all digits, also of a FLOAT
	case "timestamp":
		def, _, _ = strings.Cut(def, " /*")
		expr, carry = "CAST(UNIX_TIMESTAMP("+name+") AS BINARY)", plan.CarryTimestamp
	case "bit":
		expr, carry = "CAST(CAST("+name+" AS UNSIGNED) AS BINARY)", plan.CarryNumber
	case "enum", "set":
		expr, carry, collated = "CAST(CAST("+name+" AS UNSIGNED) AS BINARY)", plan.CarryNumber, true
		if c.DataType == "enum" {
			carry = plan.CarryEnum
		}
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
		collated = true
	case "uuid", "inet4", "inet6":
		expr, carry = "CAST(CAST("+name+" AS CHAR) AS BINARY)", plan.CarryCharacters
	case "json":
		if p.asksJSONTypes() {
			return "", "", 0, false
		}
		expr, carry = jsonText(name), plan.CarryCharacters
	default:
		return "", "", 0, false
	}
	if def == "" || collated && c.Collation == "" {
		return "", "", 0, false
	}
	if collated {
		def += " COLLATE " + c.Collation
	}
	def += pick(c.Nullable, " NULL", " NOT NULL")
	if c.Default != "" && defaultOf.MatchString(p.st.Text) {
		if !constant.MatchString(c.Default) {
			return "", "", 0, false
		}
		def += " DEFAULT " + c.Default
	}
	if c.Invisible {
		def += " INVISIBLE"
	}
	if c.JSON {
		def += " CHECK (json_valid(" + sqlval.QuoteName(c.Name) + "))"
	}
	return def, expr, carry, true
}

// jsonText is a JSON value's text, or one byte 0 for a value that is another
// one when it is read from its text: a date, bytes, or a decimal that reads as
// another double. (A date's text reads as a string, which is not equal to it.)
func jsonText(name string) string {
	text := "CAST(" + name + " AS CHAR)"
	again := "CAST(" + text + " AS JSON)"
	return "IF(" + name + " IS NULL OR " + again + " = " + name + " AND CAST(" + again + " AS BINARY) = CAST(" + name + " AS BINARY), CAST(" + name + " AS BINARY), x'00')"
}

// asksJSONTypes: the query can tell a small unsigned integer from a signed one
// and a decimal from a double of the same text.
func (p *planning) asksJSONTypes() bool {
	text := strings.ToLower(p.st.Text)
	return strings.Contains(text, "json_type") || strings.Contains(text, "json_storage")
}
