package merge

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// aggregate combines the shards' partial results, one group at a time: it
// holds one row, however many there are. Without Group all rows are one group,
// which is there even when no row is.
type aggregate struct {
	in    Rows
	node  *plan.Aggregate
	opt   *Options
	shape *shape
	keys  *keys
	accs  []accumulator
	build rowBuilder

	next  []byte // the first row of the next group, cut already; nil if there is none
	group []byte
	key   []byte
	state groupState
}

type groupState uint8

const (
	groupsBegin groupState = iota
	groupsGoOn
	groupsOver
)

func newAggregate(in Rows, n *plan.Aggregate, opt *Options) Rows {
	return &aggregate{in: in, node: n, opt: opt, build: rowBuilder{binary: opt.Binary}}
}

func (a *aggregate) Open() ([]wire.Column, error) {
	cols, err := a.in.Open()
	if err != nil {
		return nil, err
	}
	a.shape = newShape(cols, a.opt.Binary)
	if a.keys, err = newKeys(cols, a.node.Group, a.opt.PadWeight); err != nil {
		return nil, err
	}
	shown := make([]wire.Column, len(a.node.Outputs))
	a.accs = make([]accumulator, len(a.node.Outputs))
	for i, out := range a.node.Outputs {
		if err := a.accs[i].init(cols, out, a.opt); err != nil {
			return nil, err
		}
		if i < a.node.Shown && i < len(cols) {
			a.accs[i].define(&cols[i])
		}
		a.accs[i].whole = len(a.node.Group) == 0
		shown[i] = a.accs[i].col
	}
	return shown, nil
}

func (a *aggregate) Next() ([]byte, error) {
	if a.state == groupsBegin {
		if err := a.first(); err != nil {
			return nil, err
		}
	}
	if a.state == groupsOver {
		return nil, io.EOF
	}
	for i := range a.accs {
		a.accs[i].reset()
	}
	if err := a.take(); err != nil {
		return nil, err
	}
	a.build.begin(len(a.accs))
	for i := range a.accs {
		if err := a.accs[i].result(&a.build); err != nil {
			return nil, err
		}
	}
	return a.build.buf, nil
}

// first pulls the first row.
func (a *aggregate) first() error {
	err := a.pull()
	switch {
	case err == nil:
		a.state = groupsGoOn
		a.group, a.key = a.key, a.group
	case errors.Is(err, io.EOF) && len(a.node.Group) == 0:
		a.state = groupsGoOn
	case errors.Is(err, io.EOF):
		a.state = groupsOver
	default:
		return err
	}
	return nil
}

// take adds up the rows of the current group and pulls the first of the next.
func (a *aggregate) take() error {
	for a.next != nil {
		for i := range a.accs {
			if err := a.accs[i].add(a.shape); err != nil {
				return err
			}
		}
		if err := a.pull(); err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			return err
		}
		if !bytes.Equal(a.key, a.group) {
			a.group, a.key = a.key, a.group
			return nil
		}
	}
	a.state = groupsOver
	return nil
}

func (a *aggregate) pull() error {
	a.next = nil
	row, err := a.in.Next()
	if err != nil {
		return err
	}
	if err := a.shape.cut(row, len(a.shape.cols)); err != nil {
		return err
	}
	a.next = row
	a.key, err = a.keys.append(a.key[:0], a.shape)
	return err
}

// sumKind is what a sum is added up in.
type sumKind uint8

const (
	sumExact   sumKind = iota // DECIMAL
	sumFloat                  // DOUBLE
	sumInt                    // BIGINT
	sumUint                   // BIGINT UNSIGNED
	sumNothing                // NULL in every row
)

// accumulator combines one output column over the rows of a group.
type accumulator struct {
	out   plan.Output
	col   wire.Column // of the output
	whole bool        // all rows are one group
	kind  sumKind
	scale int
	in    *wire.Column // of the input

	any   bool   // a value that is not NULL was there
	rows  bool   // a row was there
	raw   []byte // FuncKeep, FuncMin, FuncMax: the value as it stands in a row
	best  []byte // its key
	key   []byte
	order keyPart
	exact exact
	float float64
	count int64
	bits  uint64
	text  []byte
}

func (c *accumulator) init(cols []wire.Column, out plan.Output, opt *Options) error {
	if out.Column >= len(cols) || out.Column2 >= len(cols) || out.Column < 0 || out.Column2 < 0 {
		return sqlerr.New(sqlerr.UnknownError, "merge: %s needs a column that is not among the %d there are", out.Text, len(cols))
	}
	c.out, c.in, c.col = out, &cols[out.Column], cols[out.Column]
	var err error
	switch out.Func {
	case plan.FuncMin, plan.FuncMax:
		c.order, err = c.minMaxOrder(cols, opt)
	case plan.FuncCount, plan.FuncSum:
		c.kind, err = sumKindOf(c.in)
	case plan.FuncAvg:
		c.kind, err = sumKindOf(c.in)
		c.averageColumn()
	case plan.FuncBitAnd, plan.FuncBitOr, plan.FuncBitXor:
		if c.in.Type != wire.TypeLongLong {
			err = sqlerr.New(sqlerr.UnknownError, "merge: the bits of %s %s can't be combined", typeName(c.in), c.in.Name)
		}
	case plan.FuncKeep:
	}
	if out.Digits > 0 && c.kind == sumExact {
		if out.Digits >= len(cols) || !fixedScale(cols[out.Digits].Type) {
			return sqlerr.New(sqlerr.UnknownError, "merge: %s needs a DECIMAL that is not among the columns", out.Text)
		}
		c.out.Column, c.in = out.Digits, &cols[out.Digits]
	} else {
		c.out.Digits = 0
	}
	c.scale = 0
	if c.in.Type == wire.TypeNewDecimal || c.in.Type == wire.TypeDecimal {
		c.scale = int(c.in.Decimals)
	}
	if out.Label != "" {
		c.col.Name = []byte(out.Label)
	}
	return err
}

// minMaxOrder: MIN and MAX compare ENUM and SET as text, unlike ORDER BY.
func (c *accumulator) minMaxOrder(cols []wire.Column, opt *Options) (keyPart, error) {
	if c.out.Weight >= 0 && c.in.Flags&(wire.FlagEnum|wire.FlagSet) != 0 {
		cols = slices.Clone(cols)
		cols[c.out.Column].Flags &^= wire.FlagEnum | wire.FlagSet
		cols[c.out.Column].Type = wire.TypeString
	}
	return newKeyPart(cols, c.out.Column, c.out.Weight, c.out.Pad, opt.PadWeight)
}

// avgDecimals is how many decimals an average has beyond its sum where the
// server didn't say (div_precision_increment's default).
const avgDecimals = 4

// maxDecimals is the largest scale of a DECIMAL.
const maxDecimals = 30

// averageColumn makes the output's definition from the sum's.
func (c *accumulator) averageColumn() {
	if c.kind == sumExact {
		more := min(avgDecimals, maxDecimals-int(c.col.Decimals))
		c.col.Decimals += byte(more)
		c.col.Length += uint32(more)
	}
}

// define gives the output the definition of the column the client asked for,
// which the shards answered in its place. Values keep the type they are
// computed in: where that is another, only the name is taken.
func (c *accumulator) define(shown *wire.Column) {
	if shown.Type == c.col.Type && shown.Unsigned() == c.col.Unsigned() {
		c.col = *shown
	} else {
		c.col.Name = shown.Name
	}
	if c.out.Label != "" {
		c.col.Name = []byte(c.out.Label)
	}
}

func sumKindOf(c *wire.Column) (sumKind, error) {
	k, ok := kindOf(c)
	if !ok {
		k = keyText
	}
	switch k {
	case keyDecimal:
		return sumExact, nil
	case keyFloat:
		return sumFloat, nil
	case keyInt:
		return sumInt, nil
	case keyUint:
		return sumUint, nil
	case keyNull:
		return sumNothing, nil
	case keyDate, keyTime, keyBit, keyBytes, keyText:
	}
	return 0, sqlerr.New(sqlerr.UnknownError, "merge: %s %s can't be added up", typeName(c), c.Name)
}

func (c *accumulator) reset() {
	c.any, c.rows, c.float, c.count = false, false, 0, 0
	c.raw, c.best = c.raw[:0], c.best[:0]
	c.exact.reset(c.scale)
	c.bits = 0
	if c.out.Func == plan.FuncBitAnd {
		c.bits = math.MaxUint64
	}
}

func (c *accumulator) add(s *shape) error {
	first := !c.rows
	c.rows = true
	f := &s.f[c.out.Column]
	if f.null {
		return nil
	}
	switch c.out.Func {
	case plan.FuncKeep:
		// A shard without a row answers NULL for what it would have taken from
		// one, so over all rows the first that is not NULL is a real row's.
		if first || (c.whole && !c.any) {
			c.raw, c.any = append(c.raw, s.raw(c.out.Column)...), true
		}
		return nil
	case plan.FuncMin, plan.FuncMax:
		return c.addMinMax(s)
	case plan.FuncAvg:
		if err := c.addCount(s); err != nil {
			return err
		}
	case plan.FuncBitAnd, plan.FuncBitOr, plan.FuncBitXor:
		return c.addBits(s)
	case plan.FuncCount, plan.FuncSum:
	}
	c.any = true
	return c.addSum(s)
}

func (c *accumulator) addMinMax(s *shape) error {
	var err error
	if c.key, err = c.order.append(c.key[:0], s); err != nil {
		return err
	}
	less := bytes.Compare(c.key, c.best)
	if c.any && (less == 0 || (less < 0) == (c.out.Func == plan.FuncMax)) {
		return nil
	}
	c.any = true
	c.best = append(c.best[:0], c.key...)
	c.raw = append(c.raw[:0], s.raw(c.out.Column)...)
	return nil
}

func (c *accumulator) addBits(s *shape) error {
	v, err := uintValue(c.in.Type, s.binary, s.value(c.out.Column))
	if !c.in.Unsigned() {
		var n int64
		n, err = intValue(c.in.Type, s.binary, s.value(c.out.Column))
		v = uint64(n)
	}
	switch c.out.Func {
	case plan.FuncBitAnd:
		c.bits &= v
	case plan.FuncBitOr:
		c.bits |= v
	default:
		c.bits ^= v
	}
	return err
}

func (c *accumulator) addCount(s *shape) error {
	if s.f[c.out.Column2].null {
		return nil
	}
	n, err := intValue(s.cols[c.out.Column2].Type, s.binary, s.value(c.out.Column2))
	c.count += n
	return err
}

func (c *accumulator) addSum(s *shape) error {
	v := s.value(c.out.Column)
	switch c.kind {
	case sumExact:
		return c.exact.add(v)
	case sumFloat:
		f, err := floatValue(c.in.Type, s.binary, v)
		c.float += f
		return err
	case sumInt:
		n, err := intValue(c.in.Type, s.binary, v)
		c.exact.addInt(n)
		return err
	case sumUint:
		n, err := uintValue(c.in.Type, s.binary, v)
		c.exact.addUint(n)
		return err
	case sumNothing:
	}
	return nil
}
