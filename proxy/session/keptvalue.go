package session

import (
	"regexp"
	"strings"

	"github.com/servaldb/serval/router/plan"
)

// What a row that is written meets has its values as they are stored: 9.125 is
// 9.13 in DECIMAL(8,2), and 5 is '5' in VARCHAR, where a comparison with 5 would
// find '05', too.

var (
	wholeNumber = regexp.MustCompile(`^[+-]?[0-9]{1,18}$`)
	anyNumber   = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	plainDate   = regexp.MustCompile(`^'[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2})?'$`)
)

// asStored is the value as the column has it, as SQL: as it came where it is
// written as the column's values are, which keys are found by.
func asStored(sql string, t plan.KeptType) string {
	switch t.Class {
	case plan.KeptText:
		switch {
		case strings.EqualFold(sql, "true"):
			return "'1'"
		case strings.EqualFold(sql, "false"):
			return "'0'"
		case !anyNumber.MatchString(sql):
			return sql
		case !strings.ContainsAny(sql, "eE"):
			return "'" + textOf(sql) + "'" // a CAST could not be compared with any collation
		}
	case plan.KeptInt:
		if wholeNumber.MatchString(sql) {
			return sql
		}
	case plan.KeptDecimal:
		if wholeNumber.MatchString(sql) {
			return sql
		}
	case plan.KeptTime:
		if plainDate.MatchString(sql) && (t.Cast != "DATE" || len(sql) == len("'2026-11-01'")) {
			return sql
		}
	}
	if hexOrBit(sql) && t.Class != plan.KeptTime {
		sql += " + 0" // as in a number, not as text
	}
	return "CAST(" + sql + " AS " + t.Cast + ")"
}

// textOf is an exact number's literal as the text a server makes of it.
func textOf(number string) string {
	sign := ""
	if number[0] == '-' && strings.ContainsAny(number, "123456789") {
		sign = "-"
	}
	whole, fraction, _ := strings.Cut(strings.TrimLeft(number, "+-"), ".")
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + fraction
}

func hexOrBit(sql string) bool {
	if len(sql) < 2 {
		return false
	}
	switch strings.ToLower(sql[:2]) {
	case "x'", "b'", "0x", "0b":
		return true
	}
	return false
}
