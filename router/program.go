package router

import (
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
)

// refuseProgram refuses triggers, routines and events that name a sharded or
// global table; nil for other statements.
func refuseProgram(st *parser.Statement, t *catalog.Table) error {
	if st.Kind != parser.KindDDL {
		return nil
	}
	table := kindWord(t) + " table " + t.Name
	for i, word := range strings.Fields(strings.ToUpper(st.Text)) {
		switch {
		case i > 12 || word == "TABLE" || word == "VIEW":
			return nil
		case word == "TRIGGER":
			return sqlerr.Refuse("a trigger with "+table, "it would run on each shard by itself and see that shard's server alone", "do its work in the application")
		case word == "PROCEDURE" || word == "FUNCTION":
			return sqlerr.Refuse("a stored "+strings.ToLower(word)+" with "+table, "it would run on one server, which has not all of the table's rows",
				"send its statements from the application")
		case word == "EVENT":
			return sqlerr.Refuse("an event with "+table, "it would run on one server, which has not all of the table's rows", "run its statements from outside")
		}
	}
	return nil
}
