package router

import (
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/router/plan"
)

// besideOthers refuses statements that name a table which a reshard fills, or has
// put aside: its rows are somebody else's, or not all there.
func besideOthers(p *planning) (*plan.Plan, error) {
	for _, t := range p.st.Tables {
		if catalog.IsBeside(t.Table) {
			return nil, sqlerr.Refuse("a statement over "+t.Table, "it is kept by serval reshard for the table that it is called after", "serval reshard status says of which job it is")
		}
	}
	return nil, nil
}
