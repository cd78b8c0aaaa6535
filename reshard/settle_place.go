package reshard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
)

// placer says which shards of the new rule a row belongs to.
type placer struct {
	to      *shardrule.Placement
	columns []shardrule.Column
	// exprs are read with each row; their values are what of takes.
	exprs []string
	// follow is set of a table whose rows follow others; columns and exprs are then none.
	follow *followPlacer
	// all are the shards of a table whose rows are in each of them; nil of one that
	// is sharded.
	all []int
}

func newPlacer(t *Table) (*placer, error) {
	to := t.To
	p := &placer{to: to}
	switch to.Kind {
	case shardrule.Sharded:
		if f := to.Follows(); f != nil {
			p.follow = &followPlacer{Follow: f, ref: to.Column.Name}
			if len(t.Targets) > 0 {
				p.follow.nulls = t.Targets[0].Index
			}
			return p, nil
		}
		p.columns = to.Columns()
		for _, c := range p.columns {
			if c.Type == shardrule.TypeOther {
				return nil, fmt.Errorf("its new sharding column %s is not as the rule needs it", c.Name)
			}
			p.exprs = append(p.exprs, c.KeyExpr(sqlval.QuoteName(c.Name)))
		}
	case shardrule.Whole, shardrule.Global:
		for i := range to.Shards {
			p.all = append(p.all, i)
		}
	}
	return p, nil
}

// of is the shards' indexes; values are what exprs gave. The error says why the row
// has no place.
func (p *placer) of(values [][]byte) ([]int, error) {
	if p.all != nil {
		return p.all, nil
	}
	var shard int
	var err error
	if p.follow != nil {
		shard, err = p.follow.of(values)
	} else {
		shard, err = shardOfKeys(p.to, p.columns, values)
	}
	if err != nil {
		return nil, err
	}
	return []int{shard}, nil
}

// shardOfKeys is the shard of a row whose keys were read as values.
func shardOfKeys(to *shardrule.Placement, columns []shardrule.Column, values [][]byte) (int, error) {
	keys := make([]shardrule.Key, len(columns))
	for i, c := range columns {
		keys[i] = c.KeyRead(values[i])
	}
	if to.Composite() {
		return to.ShardOfKeys(keys)
	}
	return to.Algorithm.ShardOf(keys[0])
}

// exprsOf are read with each row of a physical table; parent is the one that its rows
// follow, where they do.
func (p *placer) exprsOf(table, parent string) []string {
	if p.follow != nil {
		return p.follow.exprs(table, parent)
	}
	return p.exprs
}

// misplaced is SQL that is true of a row that does not belong to the shard; false
// where the servers cannot compute the rule.
func (p *placer) misplaced(at place) (string, bool) {
	shard := at.shard
	if p.all != nil {
		return "FALSE", true
	}
	if p.follow != nil {
		return p.follow.misplaced(at.name, at.parent), true
	}
	if !p.to.Composite() {
		here, ok := inPlace(p.to.Algorithm, p.to.Column, shard)
		return "NOT (" + here + ")", ok
	}
	here := make([]string, len(p.to.Parts))
	for i, part := range p.to.Parts {
		var ok bool
		if here[i], ok = inPlace(part.Algorithm, part.Column, p.to.PlaceOf(i, shard)); !ok {
			return "", false
		}
	}
	return "NOT (" + strings.Join(here, " AND ") + ")", true
}

// inPlace is SQL that is true of a row whose column has the place.
func inPlace(a shardrule.Algorithm, c shardrule.Column, place int) (string, bool) {
	twin, ok := a.(shardrule.SQLTwin)
	if !ok {
		return "", false
	}
	expr := twin.ShardExpr(sqlval.QuoteName(c.Name), c)
	return fmt.Sprintf("%s <=> %d", expr, place), expr != ""
}

// keyHas: rows that are equal in the primary key are on one shard of the rule.
func (mv *moving) keyHas(p *shardrule.Placement) bool {
	return p.Kind != shardrule.Sharded || p.Together(func(name string) bool {
		return slices.ContainsFunc(mv.key, func(i int) bool { return strings.EqualFold(mv.columns[i].name, name) })
	})
}
