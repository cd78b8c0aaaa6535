package router

import (
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// location is where a statement over sharded tables runs.
type location struct {
	choice plan.Choice
	// one: at most one shard is left, whatever the values. The statement is
	// sent as it is.
	one bool
	// root is a table no row of the result is without, by whose key the rows
	// lie on the shards; nil when one.
	root *ref
	// roots are the tables of the outermost block whose key is the root's in
	// every row of the result.
	roots []*ref
	// several: one, if its keys turn out to be on the same shard.
	several bool
	why     string
}

// locate proves that the statement can be answered shard by shard, or refuses
// it.
func (p *planning) locate() (*location, error) {
	var sharded []*ref
	for _, r := range append(p.sc.refs[:len(p.sc.refs):len(p.sc.refs)], p.sc.again...) {
		switch {
		case r.sharded():
			sharded = append(sharded, r)
		case r.global():
		default:
			return nil, sqlerr.Refuse("a statement over a sharded and an unsharded table",
				p.firstSharded().table+" is sharded and "+r.table+" stands whole on "+p.whereIs(r),
				"query them one after the other, or make the small one global")
		}
	}
	if len(sharded) == 0 {
		return nil, sqlerr.Refuse("this statement", "its sharded tables are not in a FROM clause Serval understands", "")
	}
	for _, r := range sharded {
		if !p.allHave(r.placement().Shards) {
			return nil, sqlerr.Refuse("a join of a sharded and a global table",
				"the global table has no copy on every cluster of "+r.table, "list all those clusters in its on:")
		}
	}
	if h := p.st.Hints; h.HasShard {
		return p.byHint(sharded)
	}
	if p.aggregatesOutside() {
		return nil, refuseScatter("an aggregate in a subquery over columns of the query around it", "it is over rows of all shards")
	}
	if l := p.scatterLocal(sharded); l != nil {
		return l, nil
	}
	return p.pinned(sharded)
}

func (p *planning) firstSharded() *ref {
	for _, r := range p.sc.refs {
		if r.sharded() {
			return r
		}
	}
	return &ref{}
}

func (p *planning) whereIs(r *ref) string {
	at, _ := p.clusterOf(parser.TableName{Schema: r.schema, Table: r.table})
	return orName(at, "one cluster")
}

func (p *planning) byHint(sharded []*ref) (*location, error) {
	pl, n := sharded[0].placement(), p.st.Hints.Shard
	if n >= len(pl.Shards) {
		return nil, sqlerr.New(sqlerr.WrongArguments, "Serval hint: shard=%d, and %s has shards 0 to %d", n, pl.Table, len(pl.Shards)-1)
	}
	if err := allColocated(sharded); err != nil {
		return nil, err
	}
	return &location{choice: plan.Choice{Kind: plan.ChooseByKey, Placement: pl, Cond: plan.Shard(n)}, one: true, why: "hint"}, nil
}

// scatterLocal: one SELECT (or UPDATE, DELETE) whose sharded tables are all
// bound by key equality to a root that no outer join drops. Then each row of
// the result comes from the rows of one shard, and from one shard only.
func (p *planning) scatterLocal(sharded []*ref) *location {
	top := p.topBlock()
	if top == nil {
		return nil
	}
	for _, v := range p.sc.views {
		if v.sharded() {
			sharded = append(sharded[:len(sharded):len(sharded)], v)
		}
	}
	root := p.sc.rootOf(top, sharded)
	if root == nil || p.sc.picksOfCopies(top) {
		return nil
	}
	l := &location{root: root, why: "sharded by " + root.placement().KeyNames()}
	var all plan.And
	for _, r := range sharded {
		if r.block != top {
			continue
		}
		if r.group != top.group {
			// Where a condition of the whole block rejects NULL, the row is a
			// matched one, and so its key is the root's.
			if c := p.ofPlacement(p.sc.conditionOf(r, func(g *group) bool { return g == top.group }), r, root); c != nil {
				all = append(all, c)
			}
			continue
		}
		l.roots = append(l.roots, r)
		if c := p.condOf(r, root); c != nil {
			all = append(all, c)
		}
		if c := p.viewCondition(r, root); c != nil {
			all = append(all, c)
		}
	}
	for _, r := range l.roots {
		if atMostOne(oneOf(all)) {
			break
		}
		if c := p.lookedUp(r); c != nil {
			all = append(all, p.ofPlacement(c, r, root))
		}
	}
	cond := oneOf(all)
	l.one = atMostOne(cond)
	l.choice = plan.Choice{Kind: plan.ChooseByKey, Placement: root.placement(), Cond: cond}
	if cond != nil {
		l.why = whyOf(cond)
	}
	return l
}

// picksOfCopies: a LIMIT within the statement is over global tables only. Their
// copies may give other rows each.
func (s *scopes) picksOfCopies(top *block) bool {
	for _, b := range s.blocks {
		if b == top || b.sel == nil || b.sel.Limit == nil {
			continue
		}
		global, sharded := false, false
		for _, r := range append(s.refs[:len(s.refs):len(s.refs)], s.again...) {
			if r.group.within(b.group) {
				global, sharded = global || r.global(), sharded || r.sharded()
			}
		}
		if global && !sharded {
			return true
		}
	}
	return false
}

// longWhy is the longest reason that is kept with a plan, in bytes.
const longWhy = 200

func whyOf(c plan.Cond) string {
	why := c.String()
	if len(why) > longWhy {
		return why[:longWhy] + "…"
	}
	return why
}

// topBlock is the statement's own block, nil for a set operation and where a
// derived table is not made shard by shard.
func (p *planning) topBlock() *block {
	var top *block
	for _, b := range p.sc.blocks {
		if p.sel != nil && b.sel == p.sel || p.sel == nil && b.sel == nil {
			top = b
		}
	}
	if top == nil || len(top.derived) > 0 || p.sc.recursive {
		return nil
	}
	return top
}

// condOf is r's own condition in terms of the route's placement.
func (p *planning) condOf(r, of *ref) plan.Cond {
	return p.ofPlacement(p.sc.keyCondition(r), r, of)
}

func (p *planning) ofPlacement(c plan.Cond, r, of *ref) plan.Cond {
	if c == nil || r.placement() == of.placement() || r.placement().Column == of.placement().Column {
		return c
	}
	return plan.Of{Placement: r.placement(), Cond: c}
}

// pinned: each sharded table is bound to one key by itself. Bind finds out
// whether these are one shard.
func (p *planning) pinned(sharded []*ref) (*location, error) {
	if err := allColocated(sharded); err != nil {
		return nil, err
	}
	first := sharded[0]
	var parts plan.Or
	seen := map[string]bool{}
	for _, r := range sharded {
		var all plan.And
		for _, x := range p.sc.reach(r) {
			if c := p.condOf(x, first); c != nil {
				all = append(all, c)
			}
		}
		c := oneOf(all)
		if c == nil || !atMostOne(c) {
			return nil, p.refuseJoin(sharded, r)
		}
		if !seen[c.String()] {
			seen[c.String()] = true
			parts = append(parts, c)
		}
	}
	l := &location{one: true, why: whyOf(parts)}
	l.choice = plan.Choice{Kind: plan.ChooseByKey, Placement: first.placement(), Cond: parts}
	if len(parts) == 1 {
		l.choice.Cond, l.choice.Single = parts[0], refuseUncertain()
	} else {
		l.several = true
		l.choice.Single = sqlerr.Refuse("this statement", "its keys are on different shards, and its tables cannot be joined across shards",
			"query them one after the other")
	}
	return l, nil
}

// refuseUncertain is for a statement that is only right within one shard, where
// the key is compared with what is none by itself.
func refuseUncertain() error {
	return sqlerr.Refuse("this statement", "only a server can compare its sharding key with that value, so it could be on any shard",
		"give the key a value of its column's type")
}

func (p *planning) refuseJoin(sharded []*ref, r *ref) error {
	if len(sharded) == 1 {
		return sqlerr.Refuse("this query over sharded table "+r.table,
			"it is in a subquery, a derived table, a CTE or under an outer join, where rows of all shards would have to be together",
			"give its sharding key "+r.placement().KeyNames())
	}
	return sqlerr.Refuse("a join across shards",
		"sharded table "+r.table+" is not bound to the others by equality of its sharding key "+r.placement().KeyNames(),
		"join on the sharding keys, or give one key for each table")
}

func allColocated(sharded []*ref) error {
	for _, r := range sharded[1:] {
		if !r.placement().Colocated(sharded[0].placement()) {
			return sqlerr.Refuse("a statement over tables that are sharded differently",
				sharded[0].table+" and "+r.table+" do not share their shards", "query them one after the other, or give them the same rule (like:)")
		}
	}
	return nil
}
