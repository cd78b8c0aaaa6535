package plan

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Prepared is what Args of a prepared statement may also be: all its values
// are ?, so that the SQL is the same at every execution and is kept.
type Prepared interface{ AllMarkers() bool }

// routeCache is what a Route's tasks have the same at every execution, by
// shard. It is filled as shards are met; losing a race costs a rendering.
type routeCache struct {
	shards atomic.Pointer[[]atomic.Pointer[sharedTask]]
}

// sharedTask is read by all executions and never changed.
type sharedTask struct {
	rename *Rename
	// sql and markers are of the form in which all values are ?; nil until
	// that form was met.
	sql     []byte
	markers []int
	arm     int
}

// at is the slot of a shard, nil where the shard has no number.
func (c *routeCache) at(shard, shards int) *atomic.Pointer[sharedTask] {
	if shard < 0 {
		shard, shards = 0, 1
	}
	if shard >= shards {
		return nil
	}
	slots := c.shards.Load()
	if slots == nil || len(*slots) < shards {
		fresh := make([]atomic.Pointer[sharedTask], shards)
		c.shards.Store(&fresh)
		slots = &fresh
	}
	return &(*slots)[shard]
}

// task makes one shard's task.
func (b *binder) task(r *Route, s *topology.Shard) Task {
	t := Task{Shard: -1, Cluster: s.Cluster, Target: r.Target}
	shards := 1
	if p := r.Choice.Placement; p != nil {
		t.Shard, shards = s.Index, len(p.Shards)
	}
	slot := r.cache.at(t.Shard, shards)
	var shared *sharedTask
	if slot != nil {
		shared = slot.Load()
	}
	prepared := !r.Lists && (len(b.values(r)) == 0 || b.allMarkers())
	if shared != nil && prepared && shared.sql != nil {
		t.SQL, t.Markers, t.Arm, t.Rename = shared.sql, shared.markers, shared.arm, shared.rename
		return t
	}
	fresh := shared == nil
	if fresh {
		shared = &sharedTask{rename: renameOf(r.Tables, s)}
	}
	t.Rename = shared.rename
	t.SQL = make([]byte, 0, r.SQL.size())
	place := at{tables: r.Tables, shard: s, ofCluster: r.OfCluster}
	if r.Lists {
		place.list = r.Choice.Placement
	}
	b.arm = 0
	t.SQL, t.Markers = b.render(t.SQL, nil, r.SQL, place)
	t.Arm = b.arm
	if prepared {
		shared = &sharedTask{rename: shared.rename, sql: t.SQL, markers: t.Markers, arm: t.Arm}
	}
	if slot != nil && (fresh || prepared) {
		slot.Store(shared)
	}
	return t
}

// values are the chunks of r that hold a value.
func (b *binder) values(r *Route) []Chunk {
	for i := range r.SQL {
		if k := r.SQL[i].Kind; k == ChunkValue || k == ChunkLimit || k == ChunkList || k == ChunkWritten {
			return r.SQL[i : i+1]
		}
	}
	return nil
}

func (b *binder) allMarkers() bool {
	p, ok := b.Args.(Prepared)
	if !ok || !p.AllMarkers() {
		return false
	}
	return true
}

// size is a first guess of the rendered length, in bytes.
func (t Template) size() int {
	n := 0
	for i := range t {
		n += len(t[i].Text)
		if t[i].Kind != ChunkText {
			n += 24
		}
	}
	return n
}

// at is the place a template is rendered for.
type at struct {
	tables []TableRef
	shard  *topology.Shard
	// ofCluster is what ChunkOfCluster stands for.
	ofCluster map[string]string
	// shift is added to the numbers of values that are from or behind from.
	shift, from int
	// number is the auto-increment number of the row, 0 where the row's own
	// value is kept.
	number uint64
	// list is by which placement lists are split; nil: not.
	list *shardrule.Placement
	// reduce and its values are what ChunkReduce is, nil where it is nothing.
	reduce *Reduce
	values []byte
}

// render appends the template's SQL, and the numbers of the values that stand
// as ? to markers.
func (b *binder) render(dst []byte, markers []int, t Template, a at) ([]byte, []int) {
	for i := range t {
		c := &t[i]
		switch c.Kind {
		case ChunkText:
			dst = append(dst, c.Text...)
		case ChunkValue:
			dst, markers = b.value(dst, markers, a.index(c.Index))
		case ChunkList:
			dst, markers = b.appendList(dst, markers, c, a)
		case ChunkTable:
			dst = appendTable(dst, &a.tables[c.Index], a.shard)
		case ChunkTableOnly:
			dst = appendQuotedName(dst, a.tables[c.Index].on(a.shard).Table)
		case ChunkConstraint:
			t := &a.tables[c.Index]
			dst = appendQuotedName(dst, shardrule.ShardConstraint(c.Text, t.Placement.Table, t.on(a.shard).Table))
		case ChunkDatabase:
			dst = appendQuotedName(dst, a.tables[c.Index].on(a.shard).Database)
		case ChunkDatabaseText:
			dst = sqlval.StringValue(a.tables[c.Index].on(a.shard).Database).AppendSQL(dst, true)
		case ChunkReduce:
			dst = a.appendReduce(dst, c)
		case ChunkScratch:
			dst = appendScratch(dst, a.shard.Database, c.Index)
		case ChunkWritten:
			written, _ := b.Args.AppendSQL(nil, a.index(c.Index))
			dst = append(dst, bytes.ReplaceAll(written, []byte("`"), []byte("``"))...)
		case ChunkOfCluster:
			dst = append(dst, a.ofCluster[a.shard.Cluster]...)
		case ChunkLimit:
			dst = b.appendLimit(dst, c)
		case ChunkNumber:
			switch {
			case a.number != 0:
				dst = strconv.AppendUint(dst, a.number, 10)
			case c.Index >= 0:
				dst, markers = b.value(dst, markers, a.index(c.Index))
			default:
				dst = append(dst, c.Text...)
			}
		case ChunkExpr:
			if c.Index < len(b.opt.Exprs) {
				dst = b.opt.Exprs[c.Index].AppendSQL(dst, true)
			} else {
				dst = append(dst, "NULL"...)
			}
		case ChunkArm:
			b.arm = len(dst)
		case ChunkRows: // insert renders around it
		}
	}
	return dst, markers
}

func (a *at) appendReduce(dst []byte, c *Chunk) []byte {
	switch {
	case a.reduce == nil || a.reduce.Within != (c.Index > 0) || a.reduce.Within && c.Text == "":
		return dst
	case a.reduce.Within:
		return append(append(append(dst, c.Text...), a.values...), " AND "...)
	}
	return append(append(append(dst, c.Text...), a.reduce.SQL...), a.values...)
}

func (a *at) index(i int) int {
	if i >= a.from {
		return i + a.shift
	}
	return i
}

func (b *binder) value(dst []byte, markers []int, i int) ([]byte, []int) {
	dst, marker := b.Args.AppendSQL(dst, i)
	if marker {
		markers = append(markers, i)
	}
	return dst, markers
}

// appendLimit appends what each shard is asked for. The operands were checked
// by limit.
func (b *binder) appendLimit(dst []byte, c *Chunk) []byte {
	count, _ := limitNumber(Operand{Value: c.Index}, b.Args)
	var offset uint64
	if c.Index2 >= 0 {
		offset, _ = limitNumber(Operand{Value: c.Index2}, b.Args)
	}
	sum := count + offset
	if sum < count {
		sum = math.MaxUint64
	}
	return strconv.AppendUint(dst, sum, 10)
}

// on is the physical table of the reference in a statement that goes to shard.
func (t *TableRef) on(shard *topology.Shard) topology.Shard {
	switch t.Placement.Kind {
	case shardrule.Sharded:
		if shard.Index >= 0 && shard.Index < len(t.Placement.Shards) {
			return t.Placement.Shards[shard.Index]
		}
	case shardrule.Global:
		if s, ok := t.Placement.OnCluster(shard.Cluster); ok {
			return s
		}
	case shardrule.Whole:
	}
	return t.Placement.Shards[0]
}

func appendTable(dst []byte, t *TableRef, shard *topology.Shard) []byte {
	s := t.on(shard)
	dst = appendQuotedName(dst, s.Database)
	dst = append(dst, '.')
	dst = appendQuotedName(dst, s.Table)
	if t.Alias != "" {
		dst = append(dst, " AS "...)
		dst = appendQuotedName(dst, t.Alias)
	}
	return dst
}

func appendQuotedName(dst []byte, name string) []byte {
	dst = append(dst, '`')
	for i := range len(name) {
		if name[i] == '`' {
			dst = append(dst, '`')
		}
		dst = append(dst, name[i])
	}
	return append(dst, '`')
}

// renameOf undoes the names of tables on the shard, nil where none differs.
func renameOf(tables []TableRef, shard *topology.Shard) *Rename {
	var r Rename
	for i := range tables {
		p, s := tables[i].Placement, tables[i].on(shard)
		if s.Database != p.Schema {
			r.Database, r.LogicalDatabase = s.Database, p.Schema
		}
		if s.Table != p.Table {
			r.Tables = append(r.Tables, TableRename{Physical: s.Table, Logical: p.Table})
		}
		if label := tables[i].Label; label != "" {
			r.Labels = append(r.Labels, TableRename{Physical: string(appendTable(nil, &tables[i], shard)), Logical: label})
		}
	}
	if r.Database == "" && r.Tables == nil && r.Labels == nil {
		return nil
	}
	return &r
}

// describe renders r for its first shard.
func (b *binder) describe(r *Route) Task {
	s := &r.Choice.Shard
	if p := r.Choice.Placement; p != nil && r.Choice.Kind != ChooseOne && len(p.Shards) > 0 {
		s = &p.Shards[0]
	}
	t := Task{Shard: s.Index, Cluster: s.Cluster, Target: r.Target, Rename: renameOf(r.Tables, s)}
	t.SQL, t.Markers = b.render(nil, nil, r.SQL, at{tables: r.Tables, shard: s, ofCluster: r.OfCluster})
	return t
}

// String prints the template with its holes open, for comparison and for plans.
func (t Template) String() string {
	var b strings.Builder
	for _, c := range t {
		switch c.Kind {
		case ChunkText:
			b.WriteString(c.Text)
		case ChunkArm:
		default:
			b.WriteString("?" + strconv.Itoa(c.Index+1))
		}
	}
	return b.String()
}

// aboutConstraint are errors whose messages name a constraint, and hold no
// value of a client's.
var aboutConstraint = []uint16{
	1005, 1091, 1216, 1217, 1451, 1452, // ER_CANT_CREATE_TABLE, ER_CANT_DROP_FIELD_OR_KEY, foreign keys
	1822, 1826, 1828, 1830, 1834, // foreign keys' definitions
	3813, 3814, 3815, 3816, 3817, 3818, 3819, 3820, 3821, 3822, 3823, 3939, 3940, // CHECK of MySQL
	4025, // ER_CONSTRAINT_FAILED of MariaDB
}

// Constraints undoes the names of constraints on the shard in a message with
// that error code.
func (r *Rename) Constraints(code uint16, message string) string {
	if slices.Contains(aboutConstraint, code) {
		for _, t := range r.Tables {
			message = shardrule.LogicalMessage(message, t.Logical, t.Physical)
		}
	}
	return message
}
