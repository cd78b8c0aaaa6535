package router

import (
	"strings"

	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// verbatim makes the Finish of a query whose names cannot be replaced with
// certainty, nil where it cannot be. Of its CTEs that are named several times
// MySQL computes those once that it cannot merge, and so does the Finish (see
// finisher).
func (p *planning) verbatim() *plan.Finish {
	if p.cat.Information != nil && p.cat.Information.Flavor == topology.FlavorMariaDB {
		return p.verbatimAs(false)
	}
	n := p.verbatimAs(true)
	if n != nil && len(n.Once) > 0 {
		n.Otherwise = p.verbatimAs(false)
		n.Unread = false // the tables it reads are made behind the others
	}
	return n
}

// several notes the CTEs that are named several times and not merged.
func (v *verbatim) several() {
	for i, d := range v.ctes.defs {
		switch {
		case v.ctes.times[i] < 2 || !d.Whole && !d.Chooses:
		case v.once:
			v.ctes.ahead[i] = 1
		case d.Chooses:
			v.n.Differs = severalTimes(v.cteName(d), choosing)
		}
	}
}

// restart is for another text: each may read every table.
func (c *copiedCTEs) restart() {
	c.wanted, c.own = make([]int, len(c.defs)), make([]int, len(c.defs))
}

// rowsOf are the definitions of a CTE that is computed ahead.
func (v *verbatim) rowsOf(cte int) plan.Template {
	c := &v.ctes
	var out plan.Template
	for k := range max(c.wanted[cte], 1) {
		name := v.st.Slice(c.defs[cte].Name)
		if k > 0 {
			name = ", " + copyName(cte, k)
		}
		out = join(out, text(name+" AS (SELECT * FROM "), plan.Template{{Kind: plan.ChunkScratch, Index: firstOf(cte) + k}}, text(allRows+")"))
	}
	c.ahead[cte] = max(c.ahead[cte], c.wanted[cte])
	return out
}

// firstOf is the number of the first table of a CTE's rows.
func firstOf(cte int) int { return plan.FirstOnce + cte*mostFragments }

// computeOnce makes what computes these CTEs, of the last one first: it may read
// the others.
func (v *verbatim) computeOnce(sketch *parser.Sketch) {
	for i := len(v.ctes.defs) - 1; i >= 0 && !v.failed; i-- {
		count, ahead := v.ctes.ahead[i]
		if !ahead {
			continue
		}
		if count > mostFragments {
			v.failed = true
			return
		}
		delete(v.ctes.ahead, i)
		v.ctes.restart()
		clear(v.named)
		name := v.st.Slice(v.ctes.defs[i].Name)
		sql := join(v.emit(sketch, parser.Span{End: v.ctes.defs[i].End}), text(" SELECT * FROM "+name))
		v.n.Once = append([]*plan.Once{{Name: strings.Trim(name, "`"), SQL: compact(sql), First: firstOf(i), Count: count}}, v.n.Once...)
	}
}
