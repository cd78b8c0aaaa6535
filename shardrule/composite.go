package shardrule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/topology"
)

// Part is one column of a rule of several, and the function of it. Immutable.
type Part struct {
	Column    Column
	Algorithm Algorithm
	// Stride is how many shards one place of this part makes: a row's shard is
	// the sum of place × Stride over its parts.
	Stride int
	// Or: it is another way to say what the part before it says, and does not
	// count in the sum. The row's values of both must have the same place.
	Or bool
}

// Composite is the algorithm of a rule of several columns. It places no single
// key: its parts do, each with its own.
type Composite struct {
	parts []Part
	n     int
}

var _ Algorithm = (*Composite)(nil)

// NewComposite is the algorithm over all places of the parts.
func NewComposite(parts []Part) *Composite {
	n := 1
	for _, p := range parts {
		if !p.Or {
			n *= p.Algorithm.Shards()
		}
	}
	return &Composite{parts: parts, n: n}
}

// Name implements Algorithm.
func (c *Composite) Name() string { return c.text(func(p Part) string { return p.Algorithm.Name() }) }

// text is the parts with what stands between them in a rule.
func (c *Composite) text(of func(Part) string) string {
	var b strings.Builder
	for i, p := range c.parts {
		if i > 0 {
			b.WriteString(pick(p.Or, " or ", ", "))
		}
		b.WriteString(of(p))
	}
	return b.String()
}

func pick(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// Shards implements Algorithm.
func (c *Composite) Shards() int { return c.n }

// ShardOf implements Algorithm; a single key has no shard.
func (c *Composite) ShardOf(Key) (int, error) {
	return 0, sqlerr.Refuse("this statement", "its table is sharded by several columns, and only one of them is looked at", "")
}

// Takes implements Algorithm; each part is asked for its own column.
func (c *Composite) Takes(Column) error {
	return fmt.Errorf("%s takes several columns", c.Name())
}

// Spec implements Algorithm.
func (c *Composite) Spec() string {
	return "composite v1 (" + c.text(func(p Part) string { return p.Algorithm.Spec() }) + ")"
}

// Composite reports that the rule is of several columns: Parts says how, and
// Column is empty.
func (p *Placement) Composite() bool { return len(p.Parts) > 0 }

// Keys are the sharding columns; one, or those of the Parts.
func (p *Placement) Keys() []string {
	if !p.Composite() {
		return []string{p.Column.Name}
	}
	out := make([]string, len(p.Parts))
	for i := range p.Parts {
		out[i] = p.Parts[i].Column.Name
	}
	return out
}

// LookupColumns are the columns of a table that keeps the key unique over the
// shards: the key's, and behind them the sharding columns that it does not have.
func (p *Placement) LookupColumns(key []string) []string {
	out := slices.Clone(key)
	for _, name := range p.Keys() {
		if !slices.ContainsFunc(out, func(c string) bool { return strings.EqualFold(c, name) }) {
			out = append(out, name)
		}
	}
	return out
}

// KeyNames are the sharding columns as messages have them: paid_at, user_id.
func (p *Placement) KeyNames() string {
	if !p.Composite() {
		return p.Column.Name
	}
	return strings.Join(p.Keys(), ", ")
}

// Columns are the sharding columns as the servers define them.
func (p *Placement) Columns() []Column {
	if !p.Composite() {
		return []Column{p.Column}
	}
	out := make([]Column, len(p.Parts))
	for i := range p.Parts {
		out[i] = p.Parts[i].Column
	}
	return out
}

// Together reports that rows which are equal in the columns for which has says
// yes are on one shard: those of each part, or of what may stand for it.
func (p *Placement) Together(has func(column string) bool) bool {
	if !p.Composite() {
		return has(p.Column.Name)
	}
	return p.EachPart(func(i int) bool { return has(p.Parts[i].Column.Name) })
}

// EachPart reports that each part, or one of those that may stand for it, is one
// for which f says yes.
func (p *Placement) EachPart(f func(i int) bool) bool {
	found := true
	for i := range p.Parts {
		switch {
		case p.Parts[i].Or:
			found = found || f(i)
		case !found:
			return false
		default:
			found = f(i)
		}
	}
	return found
}

// Part is part i as a placement of its own, over the places of its function;
// the shards have no names.
func (p *Placement) Part(i int) *Placement {
	part := &p.Parts[i]
	return &Placement{Schema: p.Schema, Table: p.Table, Kind: Sharded, Column: part.Column, Algorithm: part.Algorithm,
		Shards: make([]topology.Shard, part.Algorithm.Shards())}
}

// Widen is the set of those of n shards whose place of a part is in the set.
func (s Set) Widen(stride, n int) Set {
	out := EmptySet(n)
	for i := range n {
		if s.Has(i / stride % s.n) {
			out.Add(i)
		}
	}
	return out
}

// PlaceOf is the place of part i on a shard.
func (p *Placement) PlaceOf(i, shard int) int {
	return shard / p.Parts[i].Stride % p.Parts[i].Algorithm.Shards()
}

// ShardOfKeys is the shard of a row by the keys of its Parts. Keys that have no
// common shard are a *Disagreement.
func (p *Placement) ShardOfKeys(keys []Key) (int, error) {
	shard, said, at := 0, 0, 0 // at is the place that part said has
	for i := range p.Parts {
		place, err := p.Parts[i].Algorithm.ShardOf(keys[i])
		switch {
		case err != nil:
			return 0, err
		case !p.Parts[i].Or:
			said, at = i, place
			shard += place * p.Parts[i].Stride
		case place != at:
			return 0, &Disagreement{One: said, Other: i, OneAt: at, OtherAt: place}
		}
	}
	return shard, nil
}

// Disagreement is the error of a row whose values, each of which says where the
// row is, say different things: of the parts One and Other, which are in the
// places OneAt and OtherAt.
type Disagreement struct{ One, Other, OneAt, OtherAt int }

func (e *Disagreement) Error() string {
	return "its sharding columns have the places " + strconv.Itoa(e.OneAt) + " and " + strconv.Itoa(e.OtherAt)
}

// RuleText is a sharded table's rule in a word: hash(user_id) x 8, or
// month(paid_at), hash(user_id) x 4.
func (p *Placement) RuleText() string {
	one := func(a Algorithm, c Column) string { return a.Name() + "(" + KeyText(a, c.Name) + ")" }
	if !p.Composite() {
		return one(p.Algorithm, p.Column) + " x " + strconv.Itoa(len(p.Shards)) + bySlots(p.Algorithm)
	}
	var b strings.Builder
	for i, part := range p.Parts {
		if i > 0 {
			b.WriteString(pick(part.Or, " or ", ", "))
		}
		b.WriteString(one(part.Algorithm, part.Column))
		if last := i+1 == len(p.Parts) || !p.Parts[i+1].Or; last && !Periodic(part.Algorithm) {
			b.WriteString(" x " + strconv.Itoa(part.Algorithm.Shards()) + bySlots(part.Algorithm))
		}
	}
	return b.String()
}

// bySlots tells a hash whose slots are not cut into equal runs.
func bySlots(a Algorithm) string {
	if h, ok := HashOf(a); ok && h.owners != nil {
		return " by slots"
	}
	return ""
}

// Text is a placement in one phrase: its rule and its clusters.
func (p *Placement) Text() string {
	var on []string
	for _, at := range p.Shards {
		if !slices.Contains(on, at.Cluster) {
			on = append(on, at.Cluster)
		}
	}
	where := " on " + strings.Join(on, ", ")
	switch p.Kind {
	case Global:
		return "global" + where
	case Sharded:
		return p.RuleText() + where
	case Whole:
	}
	return "whole" + where
}
