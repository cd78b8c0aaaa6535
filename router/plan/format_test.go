package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/topology"
)

func TestPlansArePrintedAsTrees(t *testing.T) {
	p := placement(4)
	leaf := byKey(p, Equal{Column: "id", Value: value(0)})
	key := SortKey{Column: 0, Desc: true, Weight: 2, Label: "name"}
	root := &Limit{Count: constant(sqlval.IntValue(5)), Offset: value(0), Input: &Project{Keep: 1,
		Input: &Aggregate{Group: []SortKey{key}, Outputs: []Output{{}, {Text: "COUNT(*)=sum"}},
			Input: &MergeSort{Keys: []SortKey{key}, Input: leaf}}}}
	pl := &Plan{Root: &Union{Inputs: []Node{root, byKey(p, nil)}}}
	b, err := pl.Bind(ints(6), Options{})
	require.NoError(t, err)
	require.Equal(t, strings.TrimPrefix(`
Union all
├─ Limit 5 offset 6
│  └─ Project 1 column
│     └─ Aggregate group=[name] COUNT(*)=sum
│        └─ MergeSort [name desc by weight]
│           └─ Route single shards=[2] target=replica
│                SELECT a FROM `+"`shop_2`.`t` AS `t`"+` WHERE id = 6
└─ Route scatter shards=[0-3] target=replica
     SELECT a FROM `+"`shop_0`.`t` AS `t`"+` WHERE id = 6
`, "\n"), Format(pl, b))
	require.Equal(t, strings.TrimPrefix(`
Union all
├─ Limit 5 offset ?1
│  └─ Project 1 column
│     └─ Aggregate group=[name] COUNT(*)=sum
│        └─ MergeSort [name desc by weight]
│           └─ Route by id = ?1 target=replica
│                SELECT a FROM {t} WHERE id = ?1
└─ Route scatter target=replica
     SELECT a FROM {t} WHERE id = ?1
`, "\n"), Format(pl, nil))
}

func TestLeavesSayWhereTheyGo(t *testing.T) {
	g, p := global(), placement(2)
	sql := Template{{Text: "X"}}
	for want, c := range map[string]Choice{
		"Route one cluster=c1 target=primary":          {Kind: ChooseOne, Shard: topology.Shard{Index: -1, Cluster: "c1"}},
		"Route any cluster=c0 target=primary":          {Kind: ChooseAny, Placement: g},
		"Route copies clusters=[c0 c1] target=primary": {Kind: ChooseCopies, Placement: g},
		"Route first shards=[0] target=primary":        {Kind: ChooseFirst, Placement: p},
		"Route databases shards=[0-1] target=primary":  {Kind: ChooseDatabases, Placement: p},
		"Route clusters=[c0 c7] target=primary":        {Kind: ChooseClusters, Clusters: []string{"c0", "c7"}},
		"Route single shards=[1] target=primary":       {Kind: ChooseByKey, Placement: p, Cond: Shard(1)},
	} {
		pl := &Plan{Root: &Route{Choice: c, SQL: sql}}
		b, err := pl.Bind(ints(), Options{})
		require.NoError(t, err)
		require.Equal(t, want+"\n  X\n", Format(pl, b))
		require.Contains(t, Format(pl, nil), "X")
	}
}

func TestInsertsShowEachShardsStatement(t *testing.T) {
	pl := &Plan{Root: inserting(placement(2), 2)}
	b, err := pl.Bind(values{list: ints(1, 2, 4, 5).list, marks: true}, Options{})
	require.NoError(t, err)
	require.Equal(t, "Insert shards=[0-1] target=primary\n  INSERT INTO `shop_0`.`t` VALUES (?, ?)   [?3 ?4]\n"+
		"  INSERT INTO `shop_1`.`t` VALUES (?, ?)   [?1 ?2]\n", Format(pl, b))
	require.Equal(t, "Insert by id target=primary\n  INSERT INTO {t} VALUES {rows}\n", Format(pl, nil))
}

func TestStepsPrintInOneLine(t *testing.T) {
	c := &Const{Columns: []string{"a", "b"}, Rows: [][]string{{"1", "2"}}}
	keys := []SortKey{{Column: 1, Weight: -1}}
	require.Equal(t, "Sort [column 2 asc]\n└─ Distinct [column 2 asc]\n   └─ Const a, b (1 rows)\n",
		Format(&Plan{Root: &Sort{Keys: keys, Input: &Distinct{Keys: keys, Input: c}}}, nil))
	require.Equal(t, "Sequence\n├─ Const a, b (1 rows)\n└─ Const a, b (1 rows)\n",
		Format(&Plan{Root: &Sequence{Steps: []Node{c, c}}}, nil))
}

func TestWhatWasMeasuredStandsBehindTheNodes(t *testing.T) {
	_, f := reducible(t, true)
	other := &Route{Choice: f.Route.Choice, Tables: f.Route.Tables, SQL: f.Route.SQL}
	n := &Finish{Fragments: []*Fragment{{Route: other, Columns: []FragmentColumn{{Name: "id"}}}, f}}
	b, err := (&Plan{Root: n}).Bind(noArgs{}, Options{Finisher: "c7"})
	require.NoError(t, err)
	text := FormatMeasured(b.Plan, b, map[Node]Measure{
		n: {Rows: 3, Bytes: 30, Took: 1500 * time.Microsecond}, other: {Rows: 2, Bytes: 20, Tasks: 4, Took: time.Millisecond},
	})
	for _, line := range []string{
		"Finish cluster=c7 target=primary (rows=3 bytes=30 ms=1.50)\n",
		"Route scatter shards=[0-3] target=primary (rows=2 bytes=20 shards=4 ms=1.00)\n",
		"Route scatter shards=[0-3] target=primary reduced=[user_id IN serval_f1.id, shards too] (not run)\n",
	} {
		require.Contains(t, text, line)
	}
	require.Equal(t, "serval_meta", b.Finish.Database, "a cluster without the query's databases")
	require.NotContains(t, Format(b.Plan, b), "ms=")
}
