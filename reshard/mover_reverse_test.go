package reshard

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// back is the layout of the way back: the new tables are the sources, the old ones
// the targets.
func (l *Layout) back() *Layout {
	out := &Layout{}
	for _, t := range l.Tables {
		b := &Table{Schema: t.Schema, Name: t.Name, From: t.To, To: t.From, Definition: t.Definition}
		for _, tgt := range t.Targets {
			s := tgt.Shard
			s.Table = tgt.New
			b.Sources = append(b.Sources, s)
		}
		for _, src := range t.Sources {
			b.Targets = append(b.Targets, Target{Index: src.Index, Shard: src, New: src.Table})
		}
		out.Tables = append(out.Tables, b)
	}
	return out
}

// The way back is the same machinery: what is written to the new tables comes to
// the old ones, from the position on at which the new ones took over.
func TestChangesComeBack(t *testing.T) {
	eachEngine(t, 0, func(t *testing.T, s *stand) {
		from, to := spread("t", "a", 4, intColumn("user_id")), spread("t", "b", 3, intColumn("user_id"))
		l := s.layout(t, move{name: "t", columns: ordersColumns, key: []string{"id"}, from: from, to: to})
		s.fill(t, from, 3000)
		r := s.start(t, MoverConfig{Layout: l, Journal: newMemory()})
		r.copyDone(t)
		r.caughtUp(t)
		r.end()

		positions := map[string]string{}
		for _, c := range s.clusters {
			set, err := c.Primary.GTID(t.Context())
			require.NoError(t, err)
			positions[c.Name] = set
		}
		_, err := NewMover(t.Context(), MoverConfig{Layout: l.back(), Servers: s, Journal: newMemory(), Follow: true})
		require.ErrorContains(t, err, "position", "without one nothing can be followed")
		written := *to
		written.Shards = slices.Clone(to.Shards)
		for i := range written.Shards {
			written.Shards[i].Table = "serval_new_t"
		}
		w := s.write(t, &written, 3, false)
		back := s.start(t, MoverConfig{Layout: l.back(), Journal: newMemory(), Follow: true, Resume: Resume{Positions: positions}})
		back.copyDone(t)
		s.exec(t, "c0", "UPDATE b_0.serval_new_t SET n = 77 WHERE id % 5 = 0 AND id < 3000", "DELETE FROM b_2.serval_new_t WHERE id % 7 = 0 AND id < 3000")
		back.caughtUp(t)
		w.end()
		back.caughtUp(t)
		require.NotZero(t, s.sameRows(t, l, "*"))
		back.verified(t)
	})
}
