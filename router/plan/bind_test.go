package plan

import (
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// modulo places an integer by its last digit's remainder: easy to follow.
type modulo int

func (modulo) Name() string                 { return "modulo" }
func (m modulo) Shards() int                { return int(m) }
func (modulo) Spec() string                 { return "modulo" }
func (modulo) Takes(shardrule.Column) error { return nil }
func (m modulo) ShardOf(k shardrule.Key) (int, error) {
	switch {
	case k.Null:
		return 0, nil
	case k.Int < 0:
		return 0, sqlerr.New(sqlerr.NoPartitionForValue, "no shard for %d", k.Int)
	}
	return int(k.Int) % int(m), nil
}

func placement(n int) *shardrule.Placement {
	p := &shardrule.Placement{Schema: "shop", Table: "t", Kind: shardrule.Sharded, Algorithm: modulo(n),
		Column: shardrule.Column{Name: "id", Type: shardrule.TypeInt, Bits: 64, Nullable: true}}
	for i := range n {
		p.Shards = append(p.Shards, topology.Shard{Index: i, Cluster: "c" + strconv.Itoa(i%2), Database: "shop_" + strconv.Itoa(i), Table: "t"})
	}
	return p
}

func global() *shardrule.Placement {
	return &shardrule.Placement{Schema: "shop", Table: "g", Kind: shardrule.Global, Shards: []topology.Shard{
		{Index: 0, Cluster: "c0", Database: "shop", Table: "g"}, {Index: 1, Cluster: "c1", Database: "shop", Table: "g"}}}
}

// values are literals; those named in marks stand as ?.
type values struct {
	list  []sqlval.Value
	marks bool
}

func ints(list ...int64) values {
	var v values
	for _, n := range list {
		v.list = append(v.list, sqlval.IntValue(n))
	}
	return v
}

func (v values) Len() int                 { return len(v.list) }
func (v values) Value(i int) sqlval.Value { return v.list[i] }
func (v values) AllMarkers() bool         { return v.marks }
func (v values) AppendSQL(dst []byte, i int) ([]byte, bool) {
	if v.marks {
		return append(dst, '?'), true
	}
	return v.list[i].AppendSQL(dst, false), false
}

func value(i int) Operand { return Operand{Value: i} }

func constant(v sqlval.Value) Operand { return Operand{Value: -1, Const: v} }

func byKey(p *shardrule.Placement, c Cond) *Route {
	return &Route{
		Choice: Choice{Kind: ChooseByKey, Placement: p, Cond: c}, Target: topology.TargetReplica,
		Tables: []TableRef{{Placement: p, Alias: "t"}},
		SQL:    Template{{Text: "SELECT a FROM "}, {Kind: ChunkTable}, {Text: " WHERE id = "}, {Kind: ChunkValue}},
	}
}

func bind(t *testing.T, root Node, args Args) []Task {
	t.Helper()
	b, err := (&Plan{Root: root}).Bind(args, Options{})
	require.NoError(t, err)
	return b.Tasks.Of(root)
}

func TestAKeyGoesToItsShard(t *testing.T) {
	tasks := bind(t, byKey(placement(4), Equal{Column: "id", Value: value(0)}), ints(6))
	require.Len(t, tasks, 1)
	require.Equal(t, 2, tasks[0].Shard)
	require.Equal(t, "c0", tasks[0].Cluster)
	require.Equal(t, "SELECT a FROM `shop_2`.`t` AS `t` WHERE id = 6", string(tasks[0].SQL))
	require.Empty(t, tasks[0].Markers)
	require.Equal(t, &Rename{Database: "shop_2", LogicalDatabase: "shop"}, tasks[0].Rename)
}

func TestParametersStayAndTheirSQLIsKept(t *testing.T) {
	r := byKey(placement(4), Equal{Column: "id", Value: value(0)})
	first := bind(t, r, values{list: ints(6).list, marks: true})
	again := bind(t, r, values{list: ints(10).list, marks: true})
	require.Equal(t, "SELECT a FROM `shop_2`.`t` AS `t` WHERE id = ?", string(first[0].SQL))
	require.Equal(t, []int{0}, first[0].Markers)
	require.Same(t, &first[0].SQL[0], &again[0].SQL[0], "rendered once")
	literal := bind(t, r, ints(10))
	require.Equal(t, "SELECT a FROM `shop_2`.`t` AS `t` WHERE id = 10", string(literal[0].SQL), "a literal must not get the kept text")
	require.Equal(t, "SELECT a FROM `shop_2`.`t` AS `t` WHERE id = ?", string(bind(t, r, values{list: ints(2).list, marks: true})[0].SQL))
}

func TestConditionsLeaveShards(t *testing.T) {
	p := placement(4)
	null := constant(sqlval.NullValue)
	unknown := Operand{Value: -1, Unknown: true}
	args := ints(1, 2, 5, -3)
	for name, c := range map[string]struct {
		cond Cond
		want string
	}{
		"an equality is one shard":                     {Equal{Value: value(0)}, "[1]"},
		"NULL equals nothing":                          {Equal{Value: null}, "[]"},
		"NULL is null-safe equal to NULL keys":         {Equal{Value: null, NullSafe: true}, "[0]"},
		"IS NULL is the shard of NULL":                 {IsNull{}, "[0]"},
		"a key without a shard has no rows":            {Equal{Value: value(3)}, "[]"},
		"a negated value is negated":                   {Equal{Value: Operand{Value: 3, Negate: true}}, "[3]"},
		"an unknown value is every shard":              {Equal{Value: unknown}, "[0-3]"},
		"a list is the shards of its values":           {In{Values: []Operand{value(0), value(1), value(2)}}, "[1-2]"},
		"one unknown value in a list is every shard":   {In{Values: []Operand{value(0), unknown}}, "[0-3]"},
		"AND leaves what all leave":                    {And{In{Values: []Operand{value(0), value(1)}}, Equal{Value: value(1)}}, "[2]"},
		"a contradiction leaves none":                  {And{Equal{Value: value(0)}, Equal{Value: value(1)}}, "[]"},
		"OR leaves what one leaves":                    {Or{Equal{Value: value(0)}, Equal{Value: value(1)}}, "[1-2]"},
		"a range over an unordered rule is all shards": {Range{Lo: value(0), Hi: Operand{Absent: true}}, "[0-3]"},
		"a range to NULL is nothing":                   {Range{Lo: value(0), Hi: null}, "[]"},
		"None is none":                                 {None{}, "[]"},
		"a hint's shard is that":                       {Shard(3), "[3]"},
		"a wider column converts by itself":            {Of{Placement: p, Cond: Equal{Value: value(0)}}, "[1]"},
	} {
		set, err := c.cond.Shards(Env{Placement: p, Args: args})
		require.NoError(t, err, name)
		require.Equal(t, c.want, set.String(), name)
	}
}

func TestConditionsPrintThemselves(t *testing.T) {
	c := And{
		Or{Equal{Column: "id", Value: value(0)}, In{Column: "id", Values: []Operand{value(1), constant(sqlval.IntValue(3))}}},
		Range{Column: "id", Lo: value(2), Hi: Operand{Value: 3, Negate: true}, HiExclusive: true},
	}
	require.Equal(t, "(id = ?1 OR id IN (?2, 3)) AND id >= ?3 AND id < -?4", c.String())
}

func TestNoRowStillAsksOneShard(t *testing.T) {
	tasks := bind(t, byKey(placement(4), None{}), ints(6))
	require.Len(t, tasks, 1)
	require.Equal(t, 0, tasks[0].Shard)
}

func TestAJoinOverTwoShardsIsRefusedAtBind(t *testing.T) {
	r := byKey(placement(4), Or{Equal{Value: value(0)}, Equal{Value: value(1)}})
	r.Choice.Single = sqlerr.Refuse("this", "it is so", "")
	_, err := (&Plan{Root: r}).Bind(ints(1, 2), Options{})
	require.Equal(t, r.Choice.Single, err)
	_, err = (&Plan{Root: r}).Bind(ints(1, 5), Options{})
	require.NoError(t, err)
}

func TestLimitsAreSummedWithoutOverflow(t *testing.T) {
	p := placement(2)
	r := &Route{Choice: Choice{Kind: ChooseByKey, Placement: p}, Tables: []TableRef{{Placement: p}},
		SQL: Template{{Text: "SELECT 1 FROM "}, {Kind: ChunkTable}, {Text: " LIMIT "}, {Kind: ChunkLimit, Index: 0, Index2: 1}}}
	l := &Limit{Input: r, Count: value(0), Offset: value(1)}
	for _, c := range []struct {
		count, offset, pushed string
	}{
		{"10", "20", "30"},
		{"18446744073709551615", "1", "18446744073709551615"},
		{"18446744073709551616", "1", "18446744073709551615"},
		{"0", "0", "0"},
	} {
		args := values{list: []sqlval.Value{{Kind: sqlval.Int, Text: []byte(c.count)}, {Kind: sqlval.Int, Text: []byte(c.offset)}}}
		b, err := (&Plan{Root: l}).Bind(args, Options{})
		require.NoError(t, err)
		require.Equal(t, "SELECT 1 FROM `shop_0`.`t` LIMIT "+c.pushed, string(b.Tasks.Of(r)[0].SQL))
		require.Equal(t, c.offset, strconv.FormatUint(b.Limits[l].Offset, 10))
	}
	for _, bad := range []sqlval.Value{sqlval.IntValue(-1), sqlval.NullValue, sqlval.StringValue("ten"), {Kind: sqlval.Decimal, Text: []byte("1.5")}} {
		_, err := (&Plan{Root: l}).Bind(values{list: []sqlval.Value{bad, sqlval.IntValue(0)}}, Options{})
		var e *sqlerr.Error
		require.True(t, errors.As(err, &e), "%s", bad.Text)
		require.Equal(t, uint16(sqlerr.WrongArguments), e.Code)
	}
}

func TestGlobalTables(t *testing.T) {
	g := global()
	sql := Template{{Text: "SELECT 1 FROM "}, {Kind: ChunkTable}}
	read := &Route{Choice: Choice{Kind: ChooseAny, Placement: g}, Tables: []TableRef{{Placement: g}}, SQL: sql}
	on := func(opt Options) string {
		b, err := (&Plan{Root: read}).Bind(ints(), opt)
		require.NoError(t, err)
		require.Len(t, b.Tasks.Of(read), 1)
		return b.Tasks.Of(read)[0].Cluster
	}
	require.Equal(t, "c0", on(Options{}))
	require.Equal(t, "c1", on(Options{Pick: 7}))
	require.Equal(t, "c0", on(Options{Pick: 7, Prefer: "c0"}))
	require.Equal(t, "c1", on(Options{Pick: 7, Prefer: "c9"}), "no copy there")
	all := &Route{Choice: Choice{Kind: ChooseCopies, Placement: g}, Tables: []TableRef{{Placement: g}}, SQL: sql}
	require.Len(t, bind(t, all, ints()), 2)
	require.Nil(t, bind(t, all, ints())[0].Rename, "physical names are the logical ones")
}

func TestASharedStatementNamesTheCopyBesideTheShard(t *testing.T) {
	p, g := placement(2), global()
	g.Shards[1].Database = "elsewhere"
	r := &Route{Choice: Choice{Kind: ChooseByKey, Placement: p}, Tables: []TableRef{{Placement: p}, {Placement: g, Alias: "g"}},
		SQL: Template{{Kind: ChunkTable, Index: 0}, {Text: " JOIN "}, {Kind: ChunkTable, Index: 1}}}
	tasks := bind(t, r, ints())
	require.Equal(t, "`shop_0`.`t` JOIN `shop`.`g` AS `g`", string(tasks[0].SQL))
	require.Equal(t, "`shop_1`.`t` JOIN `elsewhere`.`g` AS `g`", string(tasks[1].SQL))
}

func TestNamesAreQuoted(t *testing.T) {
	p := placement(1)
	p.Shards[0].Table = "a`b"
	r := &Route{Choice: Choice{Kind: ChooseFirst, Placement: p}, Tables: []TableRef{{Placement: p}}, SQL: Template{
		{Kind: ChunkTable}, {Text: " "}, {Kind: ChunkTableOnly}, {Text: " "}, {Kind: ChunkDatabase}, {Text: " "}, {Kind: ChunkDatabaseText}}}
	require.Equal(t, "`shop_0`.`a``b` `a``b` `shop_0` 'shop_0'", string(bind(t, r, ints())[0].SQL))
}

func TestDatabasesAreNamedOnce(t *testing.T) {
	p := placement(4)
	for i := range p.Shards {
		p.Shards[i].Database = "shop"
	}
	r := &Route{Choice: Choice{Kind: ChooseDatabases, Placement: p}, Tables: []TableRef{{Placement: p}}, SQL: Template{{Kind: ChunkDatabase}}}
	require.Len(t, bind(t, r, ints()), 2, "one for each cluster")
	c := &Route{Choice: Choice{Kind: ChooseClusters, Clusters: []string{"c0", "c1", "c2"}}, SQL: Template{{Text: "X"}}}
	require.Len(t, bind(t, c, ints()), 3)
	require.Equal(t, -1, bind(t, c, ints())[0].Shard)
}

func TestDescribeIsOneStatement(t *testing.T) {
	p := placement(4)
	l := &Limit{Input: byKey(p, Equal{Value: value(0)}), Count: constant(sqlval.IntValue(1)), Offset: Operand{Absent: true}}
	args := values{list: ints(1).list, marks: true}
	task, ok := (&Plan{Root: l}).BindDescribe(args)
	require.True(t, ok)
	require.Equal(t, "SELECT a FROM `shop_0`.`t` AS `t` WHERE id = ?", string(task.SQL))
	describe := &Route{Choice: Choice{Kind: ChooseFirst, Placement: p}, SQL: Template{{Text: "as written"}}}
	task, _ = (&Plan{Root: l, Describe: describe}).BindDescribe(args)
	require.Equal(t, "as written", string(task.SQL))
	_, ok = (&Plan{Root: &Const{}}).BindDescribe(args)
	require.False(t, ok)
}

func TestSessionsShareAPlan(t *testing.T) {
	p := &Plan{Root: byKey(placement(4), Equal{Column: "id", Value: value(0)})}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				b, err := p.Bind(values{list: ints(int64(i)).list, marks: g%2 == 0}, Options{})
				task := b.Tasks.Of(p.Root)[0]
				want := "SELECT a FROM `shop_" + strconv.Itoa(i%4) + "`.`t` AS `t` WHERE id = " + strconv.Itoa(i)
				if g%2 == 0 {
					want = "SELECT a FROM `shop_" + strconv.Itoa(i%4) + "`.`t` AS `t` WHERE id = ?"
				}
				if err != nil || string(task.SQL) != want {
					t.Errorf("%s: %v", task.SQL, err)
				}
			}
		})
	}
	wg.Wait()
}
