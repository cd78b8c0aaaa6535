package session

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/router/plan"
)

func TestAValueIsLookedForAsItIsStored(t *testing.T) {
	text, number, price := plan.KeptType{Cast: "CHAR"}, plan.KeptType{Class: plan.KeptInt, Cast: "DECIMAL(65,0)"}, plan.KeptType{Class: plan.KeptDecimal, Cast: "DECIMAL(8,2)"}
	day, moment := plan.KeptType{Class: plan.KeptTime, Cast: "DATE"}, plan.KeptType{Class: plan.KeptTime, Cast: "DATETIME(3)"}
	for name, c := range map[string]struct {
		sql  string
		of   plan.KeptType
		want string
	}{
		"text as text":                     {"'a@x'", text, "'a@x'"},
		"text in another character set":    {"_latin1'a'", text, "_latin1'a'"},
		"bytes as text":                    {"x'61'", text, "x'61'"},
		"a number would be many texts":     {"5", text, "'5'"},
		"and so would a truth":             {"TRUE", text, "'1'"},
		"a decimal keeps its digits":       {"-07.50", text, "'-7.50'"},
		"nothing but digits behind it":     {".5", text, "'0.5'"},
		"no zero is below zero":            {"-0.0", text, "'0.0'"},
		"a float":                          {"1e1", text, "CAST(1e1 AS CHAR)"},
		"a whole number":                   {"-5", number, "-5"},
		"a fraction is rounded":            {"7.5", number, "CAST(7.5 AS DECIMAL(65,0))"},
		"a number as text":                 {"'7.5'", number, "CAST('7.5' AS DECIMAL(65,0))"},
		"bytes as a number":                {"x'41'", number, "CAST(x'41' + 0 AS DECIMAL(65,0))"},
		"a decimal loses digits":           {"9.125", price, "CAST(9.125 AS DECIMAL(8,2))"},
		"a whole number as a decimal":      {"9", price, "9"},
		"a day":                            {"'2026-11-01'", day, "'2026-11-01'"},
		"a moment as a day":                {"'2026-11-01 10:00:00'", day, "CAST('2026-11-01 10:00:00' AS DATE)"},
		"a day as a moment":                {"'2026-11-01'", moment, "'2026-11-01'"},
		"a moment with more than it keeps": {"'2026-11-01 10:00:00.12345'", moment, "CAST('2026-11-01 10:00:00.12345' AS DATETIME(3))"},
		"a number as a day":                {"20261101", day, "CAST(20261101 AS DATE)"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, asStored(c.sql, c.of)) })
	}
}
