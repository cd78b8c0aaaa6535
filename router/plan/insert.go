package plan

import (
	"strconv"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// rows is an Insert's tuples at Bind, folded ones counted out.
type rows struct {
	*Insert
	count int
	// shift and from move the values behind folded tuples.
	shift, from int
}

func (b *binder) rows(ins *Insert) rows {
	r := rows{Insert: ins, count: len(ins.Rows), from: b.Args.Len()}
	if f := ins.Repeat; f != nil && f.Width > 0 {
		r.count = (b.Args.Len() - f.Other) / f.Width
		r.from, r.shift = f.First+f.Width, (r.count-1)*f.Width
	}
	return r
}

// row is tuple i and by how much its values' numbers are moved.
func (r rows) row(i int) (row *Row, shift int) {
	if r.Repeat == nil {
		return &r.Rows[i], 0
	}
	return &r.Rows[0], i * r.Repeat.Width
}

// operand moves o to a row of folded tuples.
func (o Operand) shifted(by int) Operand {
	if o.Value >= 0 && !o.Unknown {
		o.Value += by
	}
	return o
}

// insert splits the rows by shard, keeping their order within each.
func (b *binder) insert(ins *Insert) error {
	r := b.rows(ins)
	numbers, err := b.numbers(r)
	if err != nil {
		return err
	}
	if len(ins.Exprs) > len(b.opt.Exprs) {
		return b.needExprs(ins)
	}
	if ins.Table.Placement.Kind == shardrule.Global {
		for i := range ins.Table.Placement.Shards {
			b.Tasks.Add(ins, b.insertTasks(r, sameShard(r.count, i), numbers))
		}
		return nil
	}
	if ins.Table.Placement.Kind == shardrule.Whole {
		b.Tasks.Add(ins, b.insertTasks(r, sameShard(r.count, 0), numbers))
		return nil
	}
	if b.opt.Onto > 0 {
		b.Tasks.Add(ins, b.insertTasks(r, sameShard(r.count, b.opt.Onto-1), numbers))
		return nil
	}
	shards, err := b.rowShards(r, numbers)
	if err != nil {
		return err
	}
	b.RowShards = shards
	b.Tasks.Add(ins, b.insertTasks(r, shards, numbers))
	return nil
}

// numbers are the rows' auto-increment numbers, 0 for a row that has its own
// value; nil where the statement has no such column.
func (b *binder) numbers(r rows) ([]uint64, error) {
	if r.AutoIncrement == "" {
		return nil, nil
	}
	numbers, need, above := make([]uint64, r.count), 0, uint64(0)
	b.KeepsID = !r.SetsID
	for i := range numbers {
		row, shift := r.row(i)
		v, known := row.Number.shifted(shift).Resolve(b.Args)
		if row.Number.Absent || known && b.wantsNumber(v) {
			numbers[i] = b.opt.FirstNumber + uint64(need)
			need, above = need+1, b.MaxNumber
		} else if n, err := strconv.ParseUint(string(v.Text), 10, 64); err == nil {
			b.MaxNumber = max(b.MaxNumber, n)
		}
		b.KeepsID = b.KeepsID && known
	}
	if need > 0 {
		b.KeepsID = false
		if b.opt.FirstNumber == 0 {
			p := r.Table.Placement
			return nil, &ErrNeedNumbers{Table: TableName{p.Schema, p.Table}, Column: r.AutoIncrement, Rows: need, Above: above}
		}
		b.FirstNumber = b.opt.FirstNumber
	}
	if r.Meets && (need > 0 || r.SetsID) {
		p := r.Table.Placement
		b.Given = &Given{Table: TableName{p.Schema, p.Table}, Column: r.AutoIncrement, First: b.FirstNumber, Count: need, Own: b.MaxNumber, Rows: r.count, SetsID: r.SetsID}
		b.FirstNumber, b.KeepsID = 0, false
	}
	return numbers, nil
}

// Given are the auto-increment numbers of an INSERT's rows of which some may
// have met other rows: LAST_INSERT_ID() is the first of those that are inserted.
type Given struct {
	Table  TableName
	Column string
	// First is the first of Count numbers; both are 0 where all of the Rows rows bring
	// their own. Own is the largest of those, 0 if none is known.
	First, Own  uint64
	Count, Rows int
	// SetsID: LAST_INSERT_ID(expression) is computed for a row that is met.
	SetsID bool
}

// wantsNumber: MySQL numbers a row whose value is NULL or 0.
func (b *binder) wantsNumber(v sqlval.Value) bool {
	switch v.Kind {
	case sqlval.Null:
		return true
	case sqlval.Int, sqlval.Decimal, sqlval.Float, sqlval.String:
		return !b.opt.ZeroIsValue && isZero(v.Text)
	case sqlval.Binary, sqlval.Temporal:
	}
	return false
}

// brought: each of the rows' values is a number of its own.
func (b *binder) brought(values []Operand) bool {
	for _, o := range values {
		if v, known := o.Resolve(b.Args); !known || b.wantsNumber(v) {
			return false
		}
	}
	return true
}

func isZero(text []byte) bool {
	f, err := strconv.ParseFloat(string(text), 64)
	return err == nil && f == 0
}

// sameShard puts all rows on one shard.
func sameShard(rows, shard int) []int {
	shards := make([]int, rows)
	for i := range shards {
		shards[i] = shard
	}
	return shards
}

func (b *binder) needExprs(ins *Insert) error {
	need := &ErrNeedExprs{Cluster: ins.Table.Placement.Shards[0].Cluster}
	need.SQL = append(need.SQL, "SELECT "...)
	a := at{from: b.Args.Len()}
	for i, e := range ins.Exprs {
		if i > 0 {
			need.SQL = append(need.SQL, ", "...)
		}
		need.SQL, need.Markers = b.render(need.SQL, need.Markers, e, a)
	}
	return need
}

// rowShards is the shard of each row.
func (b *binder) rowShards(r rows, numbers []uint64) ([]int, error) {
	p := r.Table.Placement
	if f := p.Follows(); f != nil {
		return b.followShards(r, f)
	}
	if p.Composite() {
		return b.partShards(r, numbers)
	}
	shards := make([]int, r.count)
	for i := range shards {
		row, shift := r.row(i)
		v, err := b.keyValue(r, row.Key.shifted(shift))
		if err != nil {
			return nil, err
		}
		if r.KeyIsNumber && numbers[i] != 0 {
			v = sqlval.Value{Kind: sqlval.Int, Text: strconv.AppendUint(nil, numbers[i], 10)}
		}
		key, err := p.Column.KeyToStore(v, b.env.Weigher)
		if err != nil {
			return nil, err
		}
		if shards[i], err = p.Algorithm.ShardOf(key); err != nil {
			return nil, err
		}
		p.Traffic.Count(key)
	}
	return shards, nil
}

func (b *binder) keyValue(r rows, o Operand) (sqlval.Value, error) {
	if o.Unknown && o.Value >= 0 && o.Value < len(b.opt.Exprs) {
		return b.opt.Exprs[o.Value], nil
	}
	if o.Absent && r.KeyIsNumber {
		return sqlval.Value{}, nil // the number takes its place
	}
	v, known := o.Resolve(b.Args)
	if !known {
		return v, sqlerr.Refuse("this INSERT", "the value of the sharding column "+r.Table.Placement.KeyNames()+
			" is an expression", "give it as a literal or a parameter")
	}
	return v, nil
}

// insertTasks renders each shard's statement, shards in order.
func (b *binder) insertTasks(r rows, shards []int, numbers []uint64) []Task {
	p := r.Table.Placement
	head, tail := r.SQL.split()
	tables := []TableRef{r.Table}
	type part struct {
		sql     []byte
		markers []int
		tuples  []int
	}
	parts := make([]part, len(p.Shards))
	for i, s := range shards {
		at := at{tables: tables, shard: &p.Shards[s], from: b.Args.Len()}
		pt := &parts[s]
		if pt.sql == nil {
			pt.sql, pt.markers = b.render(nil, nil, head, at)
		} else {
			pt.sql = append(pt.sql, ", "...)
		}
		if r.Returns {
			pt.tuples = append(pt.tuples, i)
		}
		row, shift := r.row(i)
		at.from, at.shift = 0, shift
		if numbers != nil {
			at.number = numbers[i]
		}
		pt.sql, pt.markers = b.render(pt.sql, pt.markers, row.SQL, at)
	}
	var tasks []Task
	for s := range parts {
		if parts[s].sql == nil {
			continue
		}
		shard := &p.Shards[s]
		sql, markers := b.render(parts[s].sql, parts[s].markers, tail,
			at{tables: tables, shard: shard, from: r.from, shift: r.shift})
		tasks = append(tasks, Task{Shard: s, Cluster: shard.Cluster, Target: topology.TargetPrimary, SQL: sql,
			Markers: markers, Tuples: parts[s].tuples, Rename: renameOf(tables, shard)})
	}
	return tasks
}

// split cuts the template at its rows.
func (t Template) split() (head, tail Template) {
	for i := range t {
		if t[i].Kind == ChunkRows {
			return t[:i], t[i+1:]
		}
	}
	return t, nil
}

// describeInsert is the whole statement for the first shard, whatever its
// rows' keys.
func (b *binder) describeInsert(ins *Insert) Task {
	r := b.rows(ins)
	tasks := b.insertTasks(r, make([]int, r.count), make([]uint64, r.count))
	if len(tasks) == 0 {
		return Task{}
	}
	return tasks[0]
}
