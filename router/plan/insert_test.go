package plan

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
)

// inserting is INSERT INTO t (id, a) VALUES (?0, ?1), (?2, ?3), … of n rows.
func inserting(p *shardrule.Placement, n int) *Insert {
	ins := &Insert{Table: TableRef{Placement: p}, SQL: Template{{Text: "INSERT INTO "}, {Kind: ChunkTable}, {Text: " VALUES "}, {Kind: ChunkRows}}}
	for i := range n {
		ins.Rows = append(ins.Rows, Row{Key: value(2 * i), Number: Operand{Absent: true}, SQL: Template{
			{Text: "("}, {Kind: ChunkValue, Index: 2 * i}, {Text: ", "}, {Kind: ChunkValue, Index: 2*i + 1}, {Text: ")"}}})
	}
	return ins
}

func TestRowsAreSplitInTheirOrder(t *testing.T) {
	tasks := bind(t, inserting(placement(2), 4), ints(1, 10, 2, 20, 3, 30, 4, 40))
	require.Len(t, tasks, 2)
	require.Equal(t, "INSERT INTO `shop_0`.`t` VALUES (2, 20), (4, 40)", string(tasks[0].SQL))
	require.Equal(t, "INSERT INTO `shop_1`.`t` VALUES (1, 10), (3, 30)", string(tasks[1].SQL))
}

func TestParametersFollowTheirRows(t *testing.T) {
	tasks := bind(t, inserting(placement(2), 3), values{list: ints(1, 10, 2, 20, 3, 30).list, marks: true})
	require.Equal(t, []int{2, 3}, tasks[0].Markers)
	require.Equal(t, []int{0, 1, 4, 5}, tasks[1].Markers)
	require.Equal(t, "INSERT INTO `shop_1`.`t` VALUES (?, ?), (?, ?)", string(tasks[1].SQL))
}

func TestFoldedRowsAreCountedOut(t *testing.T) {
	ins := inserting(placement(2), 1)
	ins.Repeat = &Repeat{First: 0, Width: 2, Other: 1}
	ins.SQL = append(ins.SQL, Chunk{Text: " ON DUPLICATE KEY UPDATE a = "}, Chunk{Kind: ChunkValue, Index: 2})
	tasks := bind(t, ins, ints(1, 10, 2, 20, 3, 30, 99))
	require.Equal(t, "INSERT INTO `shop_0`.`t` VALUES (2, 20) ON DUPLICATE KEY UPDATE a = 99", string(tasks[0].SQL))
	require.Equal(t, "INSERT INTO `shop_1`.`t` VALUES (1, 10), (3, 30) ON DUPLICATE KEY UPDATE a = 99", string(tasks[1].SQL))
	single := bind(t, ins, ints(1, 10, 99))
	require.Equal(t, "INSERT INTO `shop_1`.`t` VALUES (1, 10) ON DUPLICATE KEY UPDATE a = 99", string(single[0].SQL))
}

func TestAKeyWithoutAShardStopsTheWholeStatement(t *testing.T) {
	_, err := (&Plan{Root: inserting(placement(2), 2)}).Bind(ints(1, 10, -2, 20), Options{})
	var e *sqlerr.Error
	require.True(t, errors.As(err, &e))
	require.Equal(t, uint16(sqlerr.NoPartitionForValue), e.Code)
}

// numbered is a table whose rows Serval numbers: value 2i is the row's own.
func numbered(p *shardrule.Placement, n int) *Insert {
	ins := inserting(p, n)
	ins.AutoIncrement = "n"
	for i := range ins.Rows {
		ins.Rows[i].Key, ins.Rows[i].Number = value(2*i+1), value(2*i)
		ins.Rows[i].SQL[1] = Chunk{Kind: ChunkNumber, Index: 2 * i}
	}
	return ins
}

func TestNumbersAreAskedForAndGiven(t *testing.T) {
	p := &Plan{Root: numbered(placement(2), 3)}
	args := values{list: []sqlval.Value{sqlval.NullValue, sqlval.IntValue(1), sqlval.IntValue(50), sqlval.IntValue(1), sqlval.IntValue(0), sqlval.IntValue(2)}}
	_, err := p.Bind(args, Options{})
	var need *ErrNeedNumbers
	require.True(t, errors.As(err, &need))
	require.Equal(t, ErrNeedNumbers{Table: TableName{"shop", "t"}, Column: "n", Rows: 2, Above: 50}, *need, "numbers behind a row that brings 50 are above it")

	b, err := p.Bind(args, Options{FirstNumber: 7})
	require.NoError(t, err)
	require.Equal(t, uint64(7), b.FirstNumber)
	require.Equal(t, uint64(50), b.MaxNumber)
	tasks := b.Tasks.Of(p.Root)
	require.Equal(t, "INSERT INTO `shop_0`.`t` VALUES (8, 2)", string(tasks[0].SQL))
	require.Equal(t, "INSERT INTO `shop_1`.`t` VALUES (7, 1), (50, 1)", string(tasks[1].SQL))

	require.False(t, b.KeepsID, "LAST_INSERT_ID() is the first number given")

	own := values{list: []sqlval.Value{sqlval.IntValue(4), sqlval.IntValue(1), sqlval.IntValue(50), sqlval.IntValue(1), sqlval.IntValue(9), sqlval.IntValue(2)}}
	b, err = p.Bind(own, Options{})
	require.NoError(t, err)
	require.True(t, b.KeepsID, "a number that a row brings is not LAST_INSERT_ID()")
	p.Root.(*Insert).SetsID = true
	b, err = p.Bind(own, Options{})
	require.NoError(t, err)
	require.False(t, b.KeepsID, "LAST_INSERT_ID(expression) is what it says")
	p.Root.(*Insert).SetsID = false

	_, err = p.Bind(args, Options{ZeroIsValue: true})
	require.True(t, errors.As(err, &need))
	require.Equal(t, 1, need.Rows, "0 is a value in NO_AUTO_VALUE_ON_ZERO")
}

func TestANumberCanBeTheKey(t *testing.T) {
	ins := inserting(placement(2), 2)
	ins.AutoIncrement, ins.KeyIsNumber = "id", true
	for i := range ins.Rows {
		ins.Rows[i].Key = Operand{Absent: true}
		ins.Rows[i].SQL = Template{{Text: "("}, {Kind: ChunkNumber, Index: -1, Text: "NULL"}, {Text: ")"}}
	}
	p := &Plan{Root: ins}
	b, err := p.Bind(ints(), Options{FirstNumber: 4})
	require.NoError(t, err)
	require.Equal(t, "INSERT INTO `shop_0`.`t` VALUES (4)", string(b.Tasks.Of(ins)[0].SQL))
	require.Equal(t, "INSERT INTO `shop_1`.`t` VALUES (5)", string(b.Tasks.Of(ins)[1].SQL))
}

func TestExpressionsAreComputedFirst(t *testing.T) {
	ins := inserting(placement(2), 1)
	ins.Exprs = []Template{{{Text: "NOW()"}}}
	ins.Rows[0].Key = Operand{Value: 0, Unknown: true}
	ins.Rows[0].SQL[1] = Chunk{Kind: ChunkExpr, Index: 0}
	p := &Plan{Root: ins}
	_, err := p.Bind(ints(0, 5), Options{})
	var need *ErrNeedExprs
	require.True(t, errors.As(err, &need))
	require.Equal(t, "SELECT NOW()", string(need.SQL))
	require.Equal(t, "c0", need.Cluster)
	b, err := p.Bind(ints(0, 5), Options{Exprs: []sqlval.Value{sqlval.IntValue(3)}})
	require.NoError(t, err)
	require.Equal(t, "INSERT INTO `shop_1`.`t` VALUES (3, 5)", string(b.Tasks.Of(ins)[0].SQL))
}

func TestAnUnknownKeyIsRefused(t *testing.T) {
	ins := inserting(placement(2), 1)
	ins.Rows[0].Key = Operand{Value: -1, Unknown: true}
	_, err := (&Plan{Root: ins}).Bind(ints(0, 5), Options{})
	require.ErrorContains(t, err, "Serval refuses this INSERT")
}

func TestEveryCopyGetsAllRows(t *testing.T) {
	tasks := bind(t, inserting(global(), 2), ints(1, 10, 2, 20))
	require.Len(t, tasks, 2)
	require.Equal(t, "INSERT INTO `shop`.`g` VALUES (1, 10), (2, 20)", string(tasks[0].SQL))
	require.Equal(t, "c1", tasks[1].Cluster)
}

func TestDescribeOfAnInsertHasAllItsParameters(t *testing.T) {
	args := values{list: []sqlval.Value{{}, {}, {}, {}}, marks: true}
	task, ok := (&Plan{Root: inserting(placement(2), 2)}).BindDescribe(args)
	require.True(t, ok)
	require.Equal(t, "INSERT INTO `shop_0`.`t` VALUES (?, ?), (?, ?)", string(task.SQL))
	require.Equal(t, []int{0, 1, 2, 3}, task.Markers)
}
