package plan

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

func TestValuesAreWrittenAsTheyCompare(t *testing.T) {
	for name, tc := range map[string]struct {
		r      Reduce
		values []string
		sql    string // empty: they cannot be written
	}{
		"numbers as digits":               {Reduce{SQL: "`b`.`x`"}, []string{"1", "-2", "007", "1.50"}, "`b`.`x` IN (1, -2, 007, 1.50)"},
		"what is no number is not sent":   {Reduce{}, []string{"1", "1e3"}, ""},
		"nor a piece of SQL":              {Reduce{}, []string{"1) OR (1"}, ""},
		"nor a sign alone":                {Reduce{}, []string{"-"}, ""},
		"text as bytes of its charset":    {Reduce{SQL: "b.x", Kind: ReduceText, Charset: "latin1"}, []string{"a'b", "", "\xe4"}, "b.x IN (_latin1 x'612762', _latin1 x'', _latin1 x'e4')"},
		"dates":                           {Reduce{SQL: "b.x", Kind: ReduceDate}, []string{"2026-11-23"}, "b.x IN ('2026-11-23')"},
		"a date that is none is an error": {Reduce{Kind: ReduceDate}, []string{"2026-11-23", "0000-00-00"}, ""},
		"no value":                        {Reduce{}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var values [][]byte
			for _, v := range tc.values {
				values = append(values, []byte(v))
			}
			list, ok := tc.r.list(values)
			require.Equal(t, tc.sql != "", ok)
			if ok {
				require.Equal(t, tc.sql, tc.r.SQL+string(list))
			}
		})
	}
	many := make([][]byte, MaxReduceValues+1)
	for i := range many {
		many[i] = strconv.AppendInt(nil, int64(i), 10)
	}
	_, ok := (&Reduce{}).list(many)
	require.False(t, ok, "a list that is too long")
}

// reducible is a fragment of a table over 4 shards, by modulo of its key.
func reducible(t *testing.T, key bool) (*Bound, *Fragment) {
	hash, err := shardrule.NewHash(4)
	require.NoError(t, err)
	pl := &shardrule.Placement{Schema: "shop", Table: "orders", Kind: shardrule.Sharded, Algorithm: hash,
		Column: shardrule.Column{Name: "user_id", Type: shardrule.TypeInt, Bits: 64}}
	for i := range 4 {
		pl.Shards = append(pl.Shards, topology.Shard{Index: i, Cluster: "c0", Database: "shop_" + strconv.Itoa(i), Table: "orders"})
	}
	f := &Fragment{
		Route: &Route{Choice: Choice{Kind: ChooseByKey, Placement: pl}, Tables: []TableRef{{Placement: pl, Alias: "o"}},
			SQL: Template{{Text: "SELECT 1 FROM "}, {Kind: ChunkTable}, {Kind: ChunkReduce, Text: " WHERE "}, {Text: " LIMIT 9"}}},
		Reduce: &Reduce{Name: "user_id", SQL: "`o`.`user_id`", Key: key},
	}
	p := &Plan{Root: f.Route}
	b, err := p.Bind(noArgs{}, Options{})
	require.NoError(t, err)
	return b, f
}

func TestTheShardsOfTheValuesAreLeft(t *testing.T) {
	b, f := reducible(t, true)
	require.Len(t, b.Tasks.Of(f.Route), 4)
	require.Equal(t, "SELECT 1 FROM `shop_0`.`orders` AS `o` LIMIT 9", string(b.Tasks.Of(f.Route)[0].SQL), "unreduced")
	tasks, ok := b.Reduced(f, [][]byte{[]byte("7")})
	require.True(t, ok)
	require.Len(t, tasks, 1)
	require.Contains(t, string(tasks[0].SQL), "`.`orders` AS `o` WHERE `o`.`user_id` IN (7) LIMIT 9")

	alone, err := (&Plan{Root: &Route{Choice: Choice{Kind: ChooseByKey, Placement: f.Route.Choice.Placement,
		Cond: Equal{Column: "user_id", Value: f.Reduce.cond([][]byte{[]byte("7")}).(In).Values[0]}}, Tables: f.Route.Tables, SQL: f.Route.SQL}}).Bind(noArgs{}, Options{})
	require.NoError(t, err)
	require.Equal(t, alone.Tasks.Of(alone.Plan.Root)[0].Shard, tasks[0].Shard, "the shard an equality would go to")

	b, f = reducible(t, false)
	tasks, ok = b.Reduced(f, [][]byte{[]byte("7")})
	require.True(t, ok)
	require.Len(t, tasks, 4, "another column than the key leaves all shards")
	_, ok = b.Reduced(f, [][]byte{[]byte("seven")})
	require.False(t, ok)
}

func TestValuesAreAskedForWithinTheText(t *testing.T) {
	b, f := reducible(t, false)
	f.Route.SQL = Template{{Text: "SELECT 1 FROM "}, {Kind: ChunkTable}, {Text: " WHERE (("}, {Kind: ChunkReduce, Index: 1, Text: "`o`.`x`"},
		{Text: "a) OR ("}, {Kind: ChunkReduce, Index: 2}, {Text: "b))"}, {Kind: ChunkReduce, Text: " AND "}, {Text: " LIMIT 9"}}
	f.Reduce.Within = true
	tasks, ok := b.Reduced(f, [][]byte{[]byte("7"), []byte("8")})
	require.True(t, ok)
	require.Len(t, tasks, 4)
	require.Contains(t, string(tasks[0].SQL), " WHERE ((`o`.`x` IN (7, 8) AND a) OR (b)) LIMIT 9")
	f.Reduce.Within = false
	tasks, _ = b.Reduced(f, [][]byte{[]byte("7")})
	require.Contains(t, string(tasks[0].SQL), " WHERE ((a) OR (b)) AND `o`.`user_id` IN (7) LIMIT 9")
}

func TestFragmentsAreReadBehindThoseThatReduceThem(t *testing.T) {
	r := &Route{}
	n := &Finish{Fragments: []*Fragment{
		{Route: r, Reduce: &Reduce{From: 1}}, {Route: r, Reduce: &Reduce{From: 3}}, {From: 0}, {Route: r}, {Route: r},
	}}
	require.Equal(t, [][]int{{3, 4}, {1}, {0}}, n.Stages())
}

// noArgs are the values of a statement without any.
type noArgs struct{}

func (noArgs) Len() int { return 0 }

func (noArgs) Value(int) sqlval.Value { return sqlval.Value{} }

func (noArgs) AppendSQL(dst []byte, _ int) ([]byte, bool) { return dst, false }
