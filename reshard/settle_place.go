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
	// all are the shards of a table whose rows are in each of them; nil of one that
	// is sharded.
	all []int
}

func newPlacer(to *shardrule.Placement) (*placer, error) {
	p := &placer{to: to}
	switch to.Kind {
	case shardrule.Sharded:
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
	keys := make([]shardrule.Key, len(p.columns))
	for i, c := range p.columns {
		keys[i] = c.KeyRead(values[i])
	}
	shard, err := 0, error(nil)
	if p.to.Composite() {
		shard, err = p.to.ShardOfKeys(keys)
	} else {
		shard, err = p.to.Algorithm.ShardOf(keys[0])
	}
	if err != nil {
		return nil, err
	}
	return []int{shard}, nil
}

// misplaced is SQL that is true of a row that does not belong to the shard; false
// where the servers cannot compute the rule.
func (p *placer) misplaced(shard int) (string, bool) {
	if p.all != nil {
		return "FALSE", true
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
