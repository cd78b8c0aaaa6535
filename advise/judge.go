package advise

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
)

// Way is how a statement runs under rules.
type Way uint8

// The ways, from the cheapest to the dearest.
const (
	// Nowhere: no server is asked (BEGIN, SET and their like).
	Nowhere Way = iota
	// Single: one shard, or one whole table's server.
	Single
	// Scatter: several shards, merged where that is needed.
	Scatter
	// Everywhere: all shards, since that is what it means (DDL, a write of a
	// global table).
	Everywhere
	// Moved: rows are brought together on one server, which finishes it.
	Moved
	// ReadFirst: a write whose rows are read before.
	ReadFirst
	// Refused: Serval does not run it.
	Refused
)

var wayNames = [...]string{"local", "single shard", "scatter", "everywhere", "rows moved", "read first", "refused"}

// String is the way in a word or two.
func (w Way) String() string { return wayNames[w] }

// MarshalText is String.
func (w Way) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// cost of one statement in round trips to a server, roughly: what a search for
// keys compares.
func (w Way) cost(places int) float64 {
	switch w {
	case Nowhere:
		return 0
	case Single:
		return 1
	case Everywhere:
		return float64(places)
	case Scatter:
		return float64(1 + places)
	case Moved, ReadFirst:
		return float64(10 + 2*places)
	case Refused:
	}
	return 1000
}

// verdict is one statement judged.
type verdict struct {
	way Way
	// places are where it goes, one for each shard.
	places []place
	// why it is refused.
	why string
	// tables are those it names, with their schema.
	tables []TableName
	// unordered: a LIMIT without ORDER BY over several shards.
	unordered bool
	writes    bool
	// keeps: beside the rows it writes those of lookup tables (unique:).
	keeps bool
}

// TableName is a logical table.
type TableName struct{ Schema, Table string }

// String is schema.table.
func (t TableName) String() string { return t.Schema + "." + t.Table }

type place struct {
	cluster string
	shard   int
}

// judge plans one statement, as it was asked or with ? for its values.
func judge(cat *catalog.Catalog, db, sql string) verdict {
	sql = strings.ReplaceAll(sql, ")+", ")") // rows of the same shape, folded in a digest
	st := parser.Parse([]byte(sql), parser.Options{})
	v := verdict{writes: st.Kind == parser.KindInsert || st.Kind == parser.KindUpdate || st.Kind == parser.KindDelete}
	for _, t := range st.Tables {
		if t.Schema == "" {
			t.Schema = db
		}
		v.tables = append(v.tables, TableName{t.Schema, t.Table})
	}
	switch st.Kind {
	case parser.KindBegin, parser.KindCommit, parser.KindRollback, parser.KindSavepoint, parser.KindSet, parser.KindUse, parser.KindDDL:
		return v // definitions are no workload
	}
	p, err := router.Plan(cat, db, st)
	if err != nil && (errors.Is(err, router.ErrLabel) && st.Params || st.Folded) {
		p, err = router.Plan(cat, db, parser.ParseLiterally([]byte(sql), parser.Options{}))
	}
	if err != nil {
		v.way, v.why = Refused, sqlerr.From(err).Message
		return v
	}
	v.unordered = unordered(p.Root)
	switch root := p.Root.(type) {
	case *plan.Finish:
		v.way = Moved
	case *plan.Staged:
		if v.way = ReadFirst; root.Literals != nil && root.Writes[0].Kept != nil { // nothing is read
			v.way, v.keeps = Scatter, true
			return v
		}
	}
	v.bind(cat, p, sql)
	return v
}

// bind finds the places.
func (v *verdict) bind(cat *catalog.Catalog, p *plan.Plan, sql string) {
	args := &values{}
	var lexer parser.Lexer
	var fp parser.Fingerprint
	if err := lexer.Fingerprint([]byte(sql), 0, &fp); err == nil {
		args.text, args.literals = []byte(sql), fp.Literals
	}
	opt := plan.Options{Weigher: asWritten{}, Found: plan.Lookups{}}
	for range mostNeeds {
		bound, err := p.Bind(args, opt)
		var numbers *plan.ErrNeedNumbers
		var exprs *plan.ErrNeedExprs
		var lookup *plan.ErrNeedLookup
		var parents *plan.ErrNeedPlaces
		switch {
		case errors.As(err, &numbers):
			opt.FirstNumber = 1
			continue
		case errors.As(err, &exprs):
			opt.Exprs = append(opt.Exprs, sqlval.StringValue("1"))
			continue
		case errors.As(err, &lookup) && lookup.Looked.Rows > 1, errors.As(err, &parents) && len(parents.Wanted) > 1:
			v.way = max(v.way, Scatter)
			return
		case lookup != nil, parents != nil: // one shard, and only the servers know which
			v.way = max(v.way, Single)
			return
		case err != nil:
			// A value no shard is for: an error of one server.
			v.way = max(v.way, Single)
			return
		}
		v.placed(cat, bound)
		return
	}
	v.way = max(v.way, Scatter)
}

// mostNeeds bounds what is made up for one statement.
const mostNeeds = 16

func (v *verdict) placed(cat *catalog.Catalog, bound *plan.Bound) {
	seen := map[place]bool{}
	for _, leaf := range bound.Tasks {
		for i := range leaf.Tasks {
			at := place{cluster: leaf.Tasks[i].Cluster, shard: leaf.Tasks[i].Shard}
			if !seen[at] {
				seen[at] = true
				v.places = append(v.places, at)
			}
		}
	}
	switch {
	case v.way != Nowhere:
	case len(v.places) == 0:
	case len(v.places) == 1:
		v.way = Single
	case v.writes && !slices.ContainsFunc(v.tables, func(t TableName) bool { return isSharded(cat, t) }):
		v.way = Everywhere // a global table's copies
	default:
		v.way = Scatter
	}
}

func isSharded(cat *catalog.Catalog, t TableName) bool {
	found := cat.Table(t.Schema, t.Table)
	return found != nil && found.Placement.Kind == shardrule.Sharded
}

// unordered: rows of several shards are cut off in no order.
func unordered(n plan.Node) bool {
	l, ok := n.(*plan.Limit)
	if !ok {
		return false
	}
	_, scatters := l.Input.(*plan.Route)
	return scatters
}

// values are a statement's literals; a ? is a number that nobody asked for.
type values struct {
	text     []byte
	literals []parser.Literal
}

var _ plan.Args = (*values)(nil)

// Len implements plan.Args.
func (a *values) Len() int { return len(a.literals) }

// Value implements plan.Args.
func (a *values) Value(i int) sqlval.Value {
	if a.literals[i].Marker {
		return sqlval.StringValue(strconv.Itoa(1 + 7919*i))
	}
	return a.literals[i].Value(a.text, 0)
}

// AppendSQL implements plan.Args.
func (a *values) AppendSQL(dst []byte, i int) ([]byte, bool) {
	l := a.literals[i]
	return append(dst, a.text[l.Start:l.End]...), false
}

// asWritten takes a text for its weight string: which shard it is does not
// matter here, only how many there are.
type asWritten struct{}

// Weight implements shardrule.Weigher.
func (asWritten) Weight(_ string, text []byte) ([]byte, bool) { return text, true }
