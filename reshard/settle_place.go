package reshard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/servaldb/serval/shardrule"
)

// placer says which shards of the new rule a row belongs to.
type placer struct {
	to *shardrule.Placement
	// exprs are read with each row; their values are what of takes.
	exprs []string
	all   []int
}

func newPlacer(to *shardrule.Placement) (*placer, error) {
	p := &placer{to: to}
	switch to.Kind {
	case shardrule.Sharded:
		if to.Column.Type == shardrule.TypeOther {
			return nil, fmt.Errorf("its new sharding column %s is not as the rule needs it", to.Column.Name)
		}
		p.exprs = []string{to.Column.KeyExpr(quoteName(to.Column.Name))}
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
	if p.to.Kind != shardrule.Sharded {
		return p.all, nil
	}
	shard, err := p.to.Algorithm.ShardOf(p.to.Column.KeyRead(values[0]))
	if err != nil {
		return nil, err
	}
	return []int{shard}, nil
}

// misplaced is SQL that is true of a row that does not belong to the shard; false
// where the servers cannot compute the rule.
func (p *placer) misplaced(shard int) (string, bool) {
	if p.to.Kind != shardrule.Sharded {
		return "FALSE", true
	}
	twin, ok := p.to.Algorithm.(shardrule.SQLTwin)
	if !ok {
		return "", false
	}
	expr := twin.ShardExpr(quoteName(p.to.Column.Name), p.to.Column)
	return fmt.Sprintf("NOT (%s <=> %d)", expr, shard), expr != ""
}

// keyHas: the primary key has the columns that the rule places rows by.
func (mv *moving) keyHas(p *shardrule.Placement) bool {
	return p.Kind != shardrule.Sharded || slices.ContainsFunc(mv.key, func(i int) bool {
		return strings.EqualFold(mv.columns[i].name, p.Column.Name)
	})
}
