package router

import (
	"slices"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// load refuses files that cannot be loaded where they are. LOAD DATA LOCAL is
// the session's own, and does not come here but to be prepared.
func load(p *planning) (*plan.Plan, error) {
	words := strings.Fields(strings.ToUpper(p.st.Text))
	if p.st.Kind != parser.KindLoad || len(words) < 2 || words[1] == "INDEX" {
		return nil, nil
	}
	what := "LOAD " + words[1]
	tables := p.spread()
	switch {
	case slices.Contains(words[:min(len(words), 6)], "LOCAL") && what == "LOAD DATA":
		const notPreparable = 1295 // ER_UNSUPPORTED_PS
		return nil, sqlerr.New(notPreparable, "This command is not supported in the prepared statement protocol yet")
	case slices.Contains(words[:min(len(words), 6)], "LOCAL"):
		return nil, sqlerr.Refuse(what+" LOCAL", "Serval reads the lines and fields of LOAD DATA only", "make a CSV file of it and use LOAD DATA LOCAL")
	case len(tables) > 0:
		return nil, sqlerr.Refuse(what+" of a server's file into "+kindName(tables[0].Placement.Kind)+" table "+tables[0].Name, "the file is on one server, and the rows are on several",
			"use LOAD DATA LOCAL INFILE with a file of the client's")
	}
	return nil, nil
}
