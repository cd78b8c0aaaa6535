package reshard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
)

// Tables whose rows follow those of another one (through:) move with it. Where such a
// row belongs its parent's row says, which the foreign key keeps on the same server.
// So a row is placed by what its parent is there, and settled again when that changes.

// families tells followers of the layout whom they follow, and says what stands in
// the way of a family's moving together.
func (b *between) families() {
	for _, t := range b.layout.Tables {
		name := tableName{t.Schema, t.Name}
		p, q := t.From.Follows(), t.To.Follows()
		switch {
		case p == nil && q == nil:
			continue
		case p == nil || q == nil || !strings.EqualFold(p.To, q.To) || !strings.EqualFold(t.From.Column.Name, t.To.Column.Name) || p.Parent.Table != q.Parent.Table:
			b.refuse(name, "its rows follow those of another table by one of the two rules only, or through another column", "take through: out of the rules first")
			continue
		case p.Unready != "":
			b.refuse(name, "its rows cannot follow those of "+p.Parent.Table+": "+p.Unready, "mend that (serval check --live names it)")
		}
		if t.Parent = b.layout.table(t.Schema, p.Parent.Table); t.Parent == nil || !slices.Equal(t.Stays, t.Parent.Stays) {
			b.refuse(name, "its rows follow those of "+p.Parent.Table+", whose shards do not all move with its own", "give it like: "+p.Parent.Table+" and no other layout")
			t.Parent = nil
		}
	}
	for _, t := range b.layout.Tables {
		for _, rules := range []*catalog.Catalog{b.old, b.next} {
			if x := rules.Table(t.Schema, t.Name); x != nil {
				b.together(t, x.Followers)
			}
		}
	}
}

// together: a table's followers move with it.
func (b *between) together(t *Table, followers []*catalog.Table) {
	for _, f := range followers {
		if b.layout.table(t.Schema, f.Name) == nil && len(f.Columns) > 0 {
			b.refuse(tableName{t.Schema, f.Name}, "its rows follow those of "+t.Name+", whose shards do not all move with its own", "give it like: "+t.Name+" and no other layout")
		}
	}
}

func (l *Layout) table(schema, name string) *Table {
	for _, t := range l.Tables {
		if t.Schema == schema && t.Name == name {
			return t
		}
	}
	return nil
}

// errOrphan: a row's parent is not there.
var errOrphan = errors.New("the row that its foreign key refers to is not there")

// followPlacer places the rows of a follower.
type followPlacer struct {
	*shardrule.Follow
	// ref is the foreign key's column.
	ref string
	// nulls is where a row goes that refers to none.
	nulls int
}

// exprs are read with each row of a table: whether it refers to none, whether the row
// it refers to is there, and that one's sharding columns.
func (f *followPlacer) exprs(table, parent string) []string {
	ref := table + "." + sqlval.QuoteName(f.ref)
	of := func(expr string) string {
		return "(SELECT " + expr + " FROM " + parent + " p WHERE p." + sqlval.QuoteName(f.To) + " = " + ref + ")"
	}
	out := []string{ref + " IS NULL", of("COUNT(*)")}
	for _, c := range f.Parent.Columns() {
		out = append(out, of(c.KeyExpr("p."+sqlval.QuoteName(c.Name))))
	}
	return out
}

// of is the shard; values are what exprs gave.
func (f *followPlacer) of(values [][]byte) (int, error) {
	if string(values[0]) == "1" {
		return f.nulls, nil
	}
	if string(values[1]) != "1" {
		return 0, errOrphan
	}
	return shardOfKeys(f.Parent, f.Parent.Columns(), values[2:])
}

// misplaced is SQL that is true of a row whose parent is not in the parent's table of
// the same shard.
func (f *followPlacer) misplaced(table, parent string) string {
	ref := table + "." + sqlval.QuoteName(f.ref)
	return ref + " IS NOT NULL AND NOT EXISTS (SELECT 1 FROM " + parent + " p WHERE p." + sqlval.QuoteName(f.To) + " = " + ref + ")"
}

// lockParents puts behind each row what exprs would give of it, with a locking read of
// its parent: alone, and with no row of the follower held meanwhile. late are the keys of
// those whose parent is not there any more, or is held by others.
func (m *Mover) lockParents(ctx context.Context, src *source, keys []string, rows [][][]byte) (late []string, err error) {
	f := src.mv.place.follow
	var list []string
	for _, c := range f.Parent.Columns() {
		list = append(list, c.KeyExpr("p."+sqlval.QuoteName(c.Name)))
	}
	ref := indexOf(src.mv.columns, f.ref)
	var asked []int // of rows
	var sql []string
	for i, row := range rows {
		switch {
		case row == nil:
		case row[ref] == nil:
			rows[i] = append(row, []byte("1"), nil)
		default:
			asked = append(asked, i)
			sql = append(sql, "SELECT 0, 1, "+strings.Join(list, ", ")+" FROM "+src.parent+" p WHERE p."+sqlval.QuoteName(f.To)+" = "+
				string(src.mv.columns[ref].appendLiteral(nil, row[ref]))+" LOCK IN SHARE MODE")
		}
	}
	found, held, err := m.lockEach(ctx, src.shard.Cluster, sql)
	if err != nil {
		return nil, err
	}
	for n, i := range asked {
		switch {
		case found[n] != nil:
			rows[i] = append(rows[i], found[n]...)
			continue
		case !held[n] && src.mv.stuck(keys[i]):
			return nil, fmt.Errorf("the row with the primary key (%s) has no shard by the new rule: %w", keys[i], errOrphan)
		}
		// Gone since the follower was read: so is that one, for the key saw to it.
		rows[i], late = nil, append(late, keys[i])
	}
	return late, nil
}

// settleFollowers settles the rows that follow rows of a round's keys: they belong
// elsewhere when those do, without an event of their own. A parent may have been in
// several sources, and its followers be in any of them. A plain read will do: what it does
// not see yet has events of its own, and a row that is referred to keeps what it is
// referred to by.
func (m *Mover) settleFollowers(ctx context.Context, round []taken) (left []dirtyKey, err error) {
	for _, mv := range m.tables {
		if mv.Parent == nil {
			continue
		}
		parent := m.tables[slices.IndexFunc(m.tables, func(p *moving) bool { return p.Table == mv.Parent })]
		f := mv.place.follow
		var all []look
		for _, src := range mv.sources {
			for part := range slices.Chunk(keysBeside(src, mv.Parent, round), settleAtOnce) {
				all = append(all, look{src: src, cluster: src.shard.Cluster, table: src.name, where: sqlval.QuoteName(f.ref) +
					" IN (SELECT " + sqlval.QuoteName(f.To) + " FROM " + src.parent + " WHERE " + parent.areKeys(part) + ")"})
			}
		}
		err := m.eachFound(ctx, mv, all, func(found map[*source][]string) error {
			more, err := m.settleAll(ctx, found)
			left = append(left, more...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return left, nil
}
