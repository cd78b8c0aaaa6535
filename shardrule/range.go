package shardrule

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
)

// Range places a key by the range it is in. Ranges are of whole numbers, where
// of a DECIMAL the largest whole number not above it counts, or of moments, both
// ends included; an upper end that is a day or a month includes all of it. A key
// in no range is on the shard default: names, NULL on that of nulls:, else
// default:; where there is none it is an error.
type Range struct {
	spans []span // in order, apart from each other
	rest
	n    int
	text bool // the ends are moments
	// small are the spans' ends where all are int64.
	small bool
}

// span is one range: numbers, or the beginnings of canonical dates.
type span struct {
	lo, hi       *big.Int // nil: open
	loInt, hiInt int64    // what lo and hi are, where Range.small
	from, to     string   // "": open
	shard        int
	written      string
}

// rest is where keys live that are in no range and in no list; -1: nowhere.
type rest struct{ otherwise, nulls int }

var (
	_ Ranger  = (*Range)(nil)
	_ SQLTwin = (*Range)(nil)
)

func rangeFunction() Function {
	return Function{Name: "range", Params: []Param{{Name: "ranges", Map: true}, {Name: "default"}, {Name: "nulls"}},
		Listed: func(a Args) (Algorithm, error) { return newRange(a) }}
}

func newRange(a Args) (*Range, error) {
	const form = "write ranges: {0-99999: 0, 100000-: 1}: a range and its shard's number; also ..99, 100.. and 2026-01-01..2026-06-30"
	if len(a["ranges"].Pairs) == 0 {
		return nil, paramError("ranges", form, "range names no ranges")
	}
	r := &Range{}
	var err error
	if r.rest, err = restOf(a); err != nil {
		return nil, err
	}
	shards := []int{r.otherwise, r.nulls}
	for i, p := range a["ranges"].Pairs {
		s, text, ok := parseSpan(p.Key)
		if !ok || i > 0 && text != r.text {
			return nil, paramError("ranges", form, "ranges cannot have %s", p.Key)
		}
		r.text = text
		if s.shard, err = shardNumber("ranges", p); err != nil {
			return nil, err
		}
		shards = append(shards, s.shard)
		r.spans = append(r.spans, s)
	}
	slices.SortStableFunc(r.spans, compareSpans)
	for i := 1; i < len(r.spans); i++ {
		if r.spans[i].overlaps(r.spans[i-1]) {
			return nil, paramError("ranges", "let each begin behind the one before", "ranges %s and %s overlap", r.spans[i-1].written, r.spans[i].written)
		}
	}
	r.n, err = countShards("ranges", shards)
	r.small = !r.text && !slices.ContainsFunc(r.spans, func(s span) bool { return !s.small() })
	return r, err
}

// restOf reads default: and nulls:.
func restOf(a Args) (rest, error) {
	otherwise, err := a.Int("default", -1, 0, Slots-1)
	if err != nil {
		return rest{}, err
	}
	nulls, err := a.Int("nulls", otherwise, 0, Slots-1)
	return rest{otherwise: int(otherwise), nulls: int(nulls)}, err
}

// shardNumber is the number of a shard that a pair gives.
func shardNumber(param string, p Pair) (int, error) {
	n, err := strconv.Atoi(p.Value)
	if err != nil || n < 0 || n >= Slots {
		return 0, paramError(param, "give a number from 0 to "+strconv.Itoa(Slots-1), "%s: the shard of %s cannot be %s", param, p.Key, p.Value)
	}
	return n, nil
}

// countShards is how many shards there are: each from 0 to the last must have
// something.
func countShards(param string, shards []int) (int, error) {
	n := slices.Max(shards) + 1
	for i := range n {
		if !slices.Contains(shards, i) {
			return 0, paramError(param, "number the shards 0, 1, 2 and so on", "%s: the last shard is %d, and there is nothing for shard %d", param, n-1, i)
		}
	}
	return n, nil
}

// parseSpan reads 0-99, 100-, ..99, 100..200, 7, -5..-1, 2026-01..2026-06.
func parseSpan(text string) (s span, moments, ok bool) {
	s = span{written: text}
	lo, hi, dots := strings.Cut(text, "..")
	lo, hi = strings.TrimSpace(lo), strings.TrimSpace(hi)
	switch {
	case dots && lo == "" && hi == "":
		return s, false, false
	case !dots && isMoment(text):
		lo, hi = text, text
	case !dots:
		lo, hi = splitDash(strings.TrimSpace(text))
	}
	if isMoment(lo) && (hi == "" || isMoment(hi)) || lo == "" && isMoment(hi) {
		s.from, s.to = lo, hi
		return s, true, lo == "" || hi == "" || lo <= hi
	}
	var okLo, okHi bool
	s.lo, s.loInt, okLo = wholeNumber(lo)
	s.hi, s.hiInt, okHi = wholeNumber(hi)
	return s, false, okLo && okHi && (s.lo == nil || s.hi == nil || s.lo.Cmp(s.hi) <= 0)
}

// splitDash cuts lo-hi and lo-; a number alone is a range of one.
func splitDash(text string) (lo, hi string) {
	at := strings.IndexByte(text[min(1, len(text)):], '-') // a sign may stand in front
	if at < 0 {
		return text, text
	}
	return strings.TrimSpace(text[:at+1]), strings.TrimSpace(text[at+2:])
}

// wholeNumber reads one; the empty text is none, which is right too.
func wholeNumber(text string) (n *big.Int, small int64, ok bool) {
	if text == "" {
		return nil, 0, true
	}
	n, ok = new(big.Int).SetString(text, 10)
	if !ok {
		return nil, 0, false
	}
	if n.IsInt64() {
		small = n.Int64()
	}
	return n, small, true
}

// isMoment: YYYY-MM, YYYY-MM-DD or YYYY-MM-DD hh:mm:ss.
func isMoment(text string) bool {
	const first = "0001-01-01 00:00:00"
	switch len(text) {
	case len("2026-11"), len("2026-11-23"), len(first):
	default:
		return false
	}
	m, ok := parseMoment([]byte(text + first[len(text):]))
	return ok && m.valid() && text[4] == '-'
}

func compareSpans(a, b span) int {
	switch {
	case a.lo == nil || b.lo == nil:
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(bit(a.lo != nil), bit(b.lo != nil)))
	default:
		return a.lo.Cmp(b.lo)
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// overlaps: s does not begin behind the one before it.
func (s span) overlaps(before span) bool {
	if s.from == "" && s.lo == nil {
		return true // both begin with everything
	}
	if s.from != "" {
		return before.to == "" || s.from <= before.to || strings.HasPrefix(s.from, before.to)
	}
	return before.hi == nil || s.lo.Cmp(before.hi) <= 0
}

func (s span) small() bool {
	return (s.lo == nil || s.lo.IsInt64()) && (s.hi == nil || s.hi.IsInt64())
}

// Name implements Algorithm.
func (*Range) Name() string { return "range" }

// Shards implements Algorithm.
func (r *Range) Shards() int { return r.n }

// Spec implements Algorithm.
func (r *Range) Spec() string {
	var b strings.Builder
	b.WriteString("range v1 ranges=")
	for i, s := range r.spans {
		if i > 0 {
			b.WriteByte(',')
		}
		lo, hi := s.from, s.to
		if s.lo != nil {
			lo = s.lo.String()
		}
		if s.hi != nil {
			hi = s.hi.String()
		}
		fmt.Fprintf(&b, "%s..%s:%d", lo, hi, s.shard)
	}
	return b.String() + r.spec()
}

func (r rest) spec() string {
	s := ""
	if r.otherwise >= 0 {
		s += " default=" + strconv.Itoa(r.otherwise)
	}
	if r.nulls != r.otherwise {
		s += " nulls=" + strconv.Itoa(r.nulls)
	}
	return s
}

// Takes implements Algorithm.
func (r *Range) Takes(c Column) error {
	switch {
	case !r.text && (c.Type == TypeInt || c.Type == TypeDecimal), r.text && c.Type == TypeDatetime:
		return nil
	case r.text && c.Type == TypeDate:
		for _, s := range r.spans {
			if len(s.from) > len("2026-11-23") || len(s.to) > len("2026-11-23") {
				return fmt.Errorf("range %s has a time of day, which %s has not", s.written, c.typeName())
			}
		}
		return nil
	case r.text:
		return fmt.Errorf("range of dates does not take %s; it takes DATE and DATETIME", c.typeName())
	}
	return fmt.Errorf("range of numbers does not take %s; it takes integers and DECIMAL", c.typeName())
}

// ShardOf implements Algorithm.
func (r *Range) ShardOf(k Key) (int, error) {
	if k.Null {
		return r.nullShard("range")
	}
	i, ok := r.find(k, k.Bytes)
	if k.Alt != nil {
		if j, _ := r.find(k, k.Alt); j != i {
			return 0, ambiguous(k)
		}
	}
	switch {
	case ok:
		return i, nil
	case r.otherwise >= 0:
		return r.otherwise, nil
	}
	return 0, sqlerr.New(sqlerr.NoPartitionForValue, "The table is sharded by range and '%s' is in none of its ranges; add one for it, or default:", k.Bytes)
}

func (r rest) nullShard(name string) (int, error) {
	if r.nulls < 0 {
		return 0, sqlerr.New(sqlerr.NoPartitionForValue, "The table is sharded by %s and has no place for NULL; give the row a value, or the rule nulls: or default:", name)
	}
	return r.nulls, nil
}

// find is the shard of the range the key is in.
func (r *Range) find(k Key, text []byte) (int, bool) {
	switch {
	case r.text:
		for _, s := range r.spans {
			if s.hasText(string(text)) {
				return s.shard, true
			}
		}
		return 0, false
	case r.small && k.IsInt:
		i, _ := slices.BinarySearchFunc(r.spans, k.Int, func(s span, v int64) int {
			if s.hi != nil && s.hiInt < v {
				return -1
			}
			return 1 // the first whose end is not before v
		})
		if i < len(r.spans) && (r.spans[i].lo == nil || r.spans[i].loInt <= k.Int) {
			return r.spans[i].shard, true
		}
		return 0, false
	}
	n, ok := floorOf(text)
	if !ok {
		return 0, false
	}
	for _, s := range r.spans {
		if (s.lo == nil || s.lo.Cmp(n) <= 0) && (s.hi == nil || s.hi.Cmp(n) >= 0) {
			return s.shard, true
		}
	}
	return 0, false
}

func (s span) hasText(key string) bool {
	return key >= s.from && (s.to == "" || key[:min(len(s.to), len(key))] <= s.to)
}

// floorOf is the largest whole number not above the canonical number.
func floorOf(text []byte) (*big.Int, bool) {
	d, ok := parseNumber(text)
	if !ok {
		return nil, false
	}
	n := new(big.Int)
	if len(d.whole) > 0 {
		n.SetString(string(d.whole), 10)
	}
	if !d.neg {
		return n, true
	}
	if !allZero(d.frac) {
		n.Add(n, big.NewInt(1))
	}
	return n.Neg(n), true
}

// ShardsOfRange implements Ranger.
func (r *Range) ShardsOfRange(lo, hi Bound) Set {
	set := EmptySet(r.n)
	for _, s := range r.spans {
		if r.text && s.mayMeetTexts(lo, hi) || !r.text && s.mayMeet(lo, hi) {
			set.Add(s.shard)
		}
	}
	if r.otherwise >= 0 {
		set.Add(r.otherwise)
	}
	return set
}

func (s span) mayMeet(lo, hi Bound) bool {
	if n, ok := boundFloor(lo); ok && s.hi != nil && s.hi.Cmp(n) < 0 {
		return false
	}
	n, ok := boundFloor(hi)
	if !ok || s.lo == nil {
		return true
	}
	if d, _ := parseNumber(hi.Key.Bytes); hi.Exclusive && allZero(d.frac) {
		n.Sub(n, big.NewInt(1)) // what is less than 8 has 7 at most as its whole number
	}
	return s.lo.Cmp(n) <= 0
}

func boundFloor(b Bound) (*big.Int, bool) {
	if b.Open || b.Key.Null || b.Key.Alt != nil {
		return nil, false
	}
	return floorOf(b.Key.Bytes)
}

func (s span) mayMeetTexts(lo, hi Bound) bool {
	const first = "0000-01-01 00:00:00.000000"
	bounds := func(b Bound) bool { return !b.Open && !b.Key.Null && b.Key.Alt == nil }
	if bounds(lo) && s.to != "" && string(lo.Key.Bytes[:min(len(s.to), len(lo.Key.Bytes))]) > s.to {
		return false
	}
	if !bounds(hi) || s.from == "" {
		return true
	}
	from := (s.from + first[len(s.from):])[:min(len(first), len(hi.Key.Bytes))]
	c := bytes.Compare([]byte(from), hi.Key.Bytes)
	return c < 0 || c == 0 && !hi.Exclusive
}

// ShardExpr implements SQLTwin; a key in no range is -1.
func (r *Range) ShardExpr(column string, c Column) string {
	number := column
	if c.Type == TypeDecimal {
		number = "FLOOR(" + column + ")"
	}
	var b strings.Builder
	b.WriteString("CASE WHEN " + column + " IS NULL THEN " + strconv.Itoa(r.nulls))
	for _, s := range r.spans {
		var parts []string
		add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
		if s.lo != nil {
			add("%s >= %s", number, s.lo)
		}
		if s.hi != nil {
			add("%s <= %s", number, s.hi)
		}
		if s.from != "" {
			add("LEFT(%s, %d) >= '%s'", column, len(s.from), s.from)
		}
		if s.to != "" {
			add("LEFT(%s, %d) <= '%s'", column, len(s.to), s.to)
		}
		if len(parts) == 0 {
			parts = []string{"TRUE"}
		}
		b.WriteString(" WHEN " + strings.Join(parts, " AND ") + " THEN " + strconv.Itoa(s.shard))
	}
	return b.String() + " ELSE " + strconv.Itoa(r.otherwise) + " END"
}
