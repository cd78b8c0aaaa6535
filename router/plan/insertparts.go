package plan

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
)

// partShards is the shard of each row of a table that is sharded by several
// columns.
func (b *binder) partShards(r rows, numbers []uint64) ([]int, error) {
	p := r.Table.Placement
	shards := make([]int, r.count)
	keys, values := make([]shardrule.Key, len(p.Parts)), make([]sqlval.Value, len(p.Parts))
	for i := range shards {
		row, shift := r.row(i)
		for j := range p.Parts {
			o := row.Key
			if j > 0 {
				o = row.More[j-1]
			}
			v, err := b.keyValue(r, o.shifted(shift))
			if err != nil {
				return nil, err
			}
			if r.KeyIsNumber && j == r.NumberKey && numbers[i] != 0 {
				v = sqlval.Value{Kind: sqlval.Int, Text: strconv.AppendUint(nil, numbers[i], 10)}
			}
			values[j] = v
			if keys[j], err = p.Parts[j].Column.KeyToStore(v, b.env.Weigher); err != nil {
				return nil, err
			}
		}
		var err error
		if shards[i], err = p.ShardOfKeys(keys); err != nil {
			return nil, disagreement(p, values, err)
		}
	}
	return shards, nil
}

// disagreement says which values of a row contradict each other.
func disagreement(p *shardrule.Placement, values []sqlval.Value, err error) error {
	var d *shardrule.Disagreement
	if !errors.As(err, &d) {
		return err
	}
	said := func(part, at int) string {
		where := "shard"
		if len(p.Shards) != p.Parts[part].Algorithm.Shards() {
			where = "place" // of several
		}
		return fmt.Sprintf("%s = %s is on %s %d", p.Parts[part].Column.Name, values[part].AppendSQL(nil, false), where, at)
	}
	return sqlerr.New(sqlerr.NoPartitionForValue, "Table %s is sharded by %s, either of which says where a row is: %s and %s; give values that belong together",
		p.Table, p.RuleText(), said(d.One, d.OneAt), said(d.Other, d.OtherAt)).WithCause(err)
}
