package reshard

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlval"
)

// VerifyOptions say how much is compared.
type VerifyOptions struct {
	// Sample is the part of the ranges that is compared, above 0 up to 1; 0 is all.
	Sample float64
	// Repair takes rows that differ over once more, and only tells those that still
	// differ then: a target that lost its last writes in a failover gets them back.
	Repair bool
	// Most is how many differing keys are told. Default 100.
	Most int
	// Progress is told what has been compared so far; nil is nobody.
	Progress func(Verified)
}

// Verified is what a comparison has found.
type Verified struct {
	// Ranges were compared, of Rows rows in the sources; Skipped were left out of
	// the sample.
	Ranges, Rows, Skipped int64
	// Differing are the keys whose rows are not the same, at most as many as asked
	// for; More that there are others.
	Differing []Difference
	More      bool
	// Repaired are keys whose rows were taken over once more.
	Repaired int64
	// Unsteady are keys whose rows changed at each look, so that nothing can be said
	// of them.
	Unsteady int64
}

// Difference is one key whose row is not the same in old and new tables.
type Difference struct {
	// Schema and Table are the logical names; Key is the primary key as SQL.
	Schema, Table, Key string
	// What is wrong with it.
	What string
	// Shards are where it was found: old tables first.
	Shards []string
}

// String is the difference as one line.
func (d Difference) String() string {
	s := fmt.Sprintf("%s.%s (%s): %s", d.Schema, d.Table, d.Key, d.What)
	if len(d.Shards) > 0 {
		s += ", in " + strings.Join(d.Shards, " and ")
	}
	return s
}

// verifyRows is how many rows of one source a range is to have; below narrowRows
// the rows are compared one by one.
const (
	verifyRows = 5000
	narrowRows = 200
)

// verifier is one comparison of one table.
type verifier struct {
	m      *Mover
	mv     *moving
	opt    VerifyOptions
	sum    string // of a row, as SQL
	result *Verified
}

// Verify compares every row of the sources with the targets: by count and checksum
// of ranges of keys, computed in the servers; where they differ, down to single keys,
// which are looked at again when the changes so far have been taken over. It also
// sees rows on another shard than the rule says. It needs Run to be going on, with
// everything copied.
func (m *Mover) Verify(ctx context.Context, opt VerifyOptions) (*Verified, error) {
	if opt.Most <= 0 {
		opt.Most = 100
	}
	select {
	case <-m.copied:
	default:
		return nil, fmt.Errorf("the rows are not all copied yet")
	}
	result := &Verified{}
	for _, mv := range m.tables {
		if len(mv.sources) == 0 || len(mv.targets) == 0 {
			continue
		}
		v := &verifier{m: m, mv: mv, opt: opt, result: &Verified{}}
		v.sum = mv.rowSum()
		if err := v.run(ctx); err != nil {
			return nil, fmt.Errorf("compare %s.%s: %w", mv.Schema, mv.Name, err)
		}
		result.add(v.result, opt.Most)
	}
	return result, nil
}

func (r *Verified) add(o *Verified, most int) {
	r.Ranges, r.Rows, r.Skipped = r.Ranges+o.Ranges, r.Rows+o.Rows, r.Skipped+o.Skipped
	r.Repaired, r.Unsteady = r.Repaired+o.Repaired, r.Unsteady+o.Unsteady
	r.Differing = append(r.Differing, o.Differing...)
	r.More = r.More || o.More || len(r.Differing) > most
	r.Differing = r.Differing[:min(len(r.Differing), most)]
}

// rowSum is 64 bits of a row, the same on all servers of one kind.
func (mv *moving) rowSum() string {
	parts := make([]string, len(mv.columns))
	for i := range mv.columns {
		expr := mv.columns[i].checksumExpr()
		parts[i] = expr
		if mv.columns[i].nullable {
			parts[i] = "IFNULL(" + expr + ", 'NULL'), ISNULL(" + sqlval.QuoteName(mv.columns[i].name) + ")"
		}
	}
	return "CAST(CONV(LEFT(" + sha2("CONCAT_WS(',', "+strings.Join(parts, ", ")+")") + ", 16), 16, 10) AS UNSIGNED)"
}

// keyRange is the keys behind one and up to another; empty is no bound.
type keyRange struct{ behind, upTo string }

func (mv *moving) within(r keyRange) string {
	cond := mv.behind(r.behind, true)
	if r.upTo != "" {
		cond = "(" + cond + ") AND (" + mv.behind(r.upTo, false) + ")"
	}
	return cond
}

// side is what one table has of a range.
type side struct {
	count, misplaced int64
	sum              uint64
}

func (v *verifier) run(ctx context.Context) error {
	every := int64(1)
	if v.opt.Sample > 0 && v.opt.Sample < 1 {
		every = max(1, int64(1/v.opt.Sample+0.5))
	}
	for r, n := (keyRange{}), int64(0); ; n++ {
		upTo, err := v.nth(ctx, keyRange{behind: r.behind}, verifyRows, v.all())
		if err != nil {
			return err
		}
		r.upTo = upTo
		if n%every != 0 {
			v.result.Skipped++
		} else if err := v.compare(ctx, r); err != nil {
			return err
		}
		if v.opt.Progress != nil {
			v.opt.Progress(*v.result)
		}
		if upTo == "" {
			return nil
		}
		r.behind = upTo
	}
}

// nth is the key n rows behind the range's beginning, within it, in the first of the
// tables that has so many; empty where none has.
func (v *verifier) nth(ctx context.Context, r keyRange, n int64, tables []place) (key string, err error) {
	names := make([]string, len(v.mv.key))
	for i, k := range v.mv.key {
		names[i] = v.mv.columns[k].readExpr()
	}
	for _, t := range tables {
		sql := fmt.Sprintf("SELECT %s FROM %s FORCE INDEX (PRIMARY) WHERE %s ORDER BY %s LIMIT 1 OFFSET %d",
			strings.Join(names, ", "), t.name, v.mv.within(r), v.mv.keyNames(), n-1)
		err = v.m.with(ctx, t.cluster, func(c *backend.Conn) error {
			key = ""
			return query(c, sql, func(values [][]byte) error {
				key = v.mv.keyOfOnly(values)
				return nil
			})
		})
		if err != nil || key != "" {
			return key, err
		}
	}
	return "", nil
}

// place is one physical table, old or new.
type place struct {
	cluster, name, label string
	// shard is the new rule's index; -1 of an old table.
	shard int
	// parent is the table whose rows this one's follow; empty of any other.
	parent string
}

// all are the old tables, then the new ones.
func (v *verifier) all() []place {
	var out []place
	for _, s := range v.mv.sources {
		out = append(out, place{s.shard.Cluster, s.name, s.String(), -1, s.parent})
	}
	for _, t := range v.mv.targets {
		out = append(out, place{t.Shard.Cluster, t.name, t.Shard.Database + "." + t.New + " on cluster " + t.Shard.Cluster, t.Index, t.parent})
	}
	return out
}

// compare compares a range, and halves it where it differs.
func (v *verifier) compare(ctx context.Context, r keyRange) error {
	sides, err := v.sides(ctx, r)
	if err != nil {
		return err
	}
	var from, to side
	all, most := v.all(), 0
	for i, p := range all {
		if sides[i].count > sides[most].count {
			most = i
		}
		if p.shard < 0 {
			from.count, from.sum = from.count+sides[i].count, from.sum^sides[i].sum
		} else {
			to.count, to.sum, to.misplaced = to.count+sides[i].count, to.sum^sides[i].sum, to.misplaced+sides[i].misplaced
		}
	}
	if v.copies() > 1 {
		to = v.asOne(sides[len(v.mv.sources):])
	}
	v.result.Ranges++
	v.result.Rows += from.count
	if from == to {
		return nil
	}
	middle := ""
	if n := sides[most].count; n > narrowRows {
		if middle, err = v.nth(ctx, r, n/2, all[most:most+1]); err != nil {
			return err
		}
	}
	if middle == "" || middle == r.upTo {
		return v.rowByRow(ctx, r)
	}
	v.result.Ranges-- // its halves are counted
	v.result.Rows -= from.count
	if err := v.compare(ctx, keyRange{r.behind, middle}); err != nil {
		return err
	}
	return v.compare(ctx, keyRange{middle, r.upTo})
}

// copies is how many targets have each row.
func (v *verifier) copies() int {
	if v.mv.place.all == nil {
		return 1
	}
	return len(v.mv.targets)
}

// asOne is one side of full copies: the first one's, or one that is like nothing
// where they are not alike.
func (v *verifier) asOne(copies []side) side {
	for _, s := range copies[1:] {
		if s != copies[0] {
			return side{misplaced: -1}
		}
	}
	return copies[0]
}

// sides asks all tables at once.
func (v *verifier) sides(ctx context.Context, r keyRange) ([]side, error) {
	all := v.all()
	out := make([]side, len(all))
	g, ctx := errgroup.WithContext(ctx)
	for i, p := range all {
		g.Go(func() (err error) {
			out[i], err = v.side(ctx, p, r)
			return err
		})
	}
	return out, g.Wait()
}

func (v *verifier) side(ctx context.Context, p place, r keyRange) (side, error) {
	misplaced, inServer := "FALSE", true
	if p.shard >= 0 {
		misplaced, inServer = v.mv.place.misplaced(p)
	}
	if !inServer {
		misplaced = "FALSE"
	}
	var s side
	sql := fmt.Sprintf("SELECT COUNT(*), IFNULL(SUM(%s), 0), BIT_XOR(%s) FROM %s WHERE %s", misplaced, v.sum, p.name, v.mv.within(r))
	err := v.m.with(ctx, p.cluster, func(c *backend.Conn) error {
		return query(c, sql, func(row [][]byte) error {
			s = side{count: parseInt(row[0]), misplaced: parseInt(row[1]), sum: parseUint(row[2])}
			return nil
		})
	})
	if err != nil || inServer {
		return s, err
	}
	s.misplaced, err = v.misplacedHere(ctx, p, r)
	return s, err
}

// misplacedHere computes the rows' shards here, for a rule that servers cannot.
func (v *verifier) misplacedHere(ctx context.Context, p place, r keyRange) (n int64, err error) {
	sql := "SELECT " + strings.Join(v.mv.place.exprsOf(p.name, p.parent), ", ") + " FROM " + p.name + " WHERE " + v.mv.within(r)
	err = v.m.with(ctx, p.cluster, func(c *backend.Conn) error {
		n = 0
		return query(c, sql, func(row [][]byte) error {
			if shards, err := v.mv.place.of(row); err != nil || !slices.Contains(shards, p.shard) {
				n++
			}
			return nil
		})
	})
	return n, err
}

// rowByRow finds the keys of a range whose rows are not the same, and looks at them
// again until it is sure.
func (v *verifier) rowByRow(ctx context.Context, r keyRange) error {
	cond := v.mv.within(r)
	found, err := v.look(ctx, cond)
	if err != nil {
		return err
	}
	suspects := v.suspects(found)
	const looks = 8
	repair := v.opt.Repair
	for look := 0; len(suspects) > 0; look++ {
		// The changes up to here have to be there before it is said that one is missing.
		if err := v.m.CatchUp(ctx); err != nil {
			return err
		}
		again, err := v.look(ctx, v.mv.areKeys(suspects))
		if err != nil {
			return err
		}
		after, err := v.look(ctx, v.mv.areKeys(suspects))
		if err != nil {
			return err
		}
		// Once more: a row that changes all the time may come back to a value.
		if err := v.m.CatchUp(ctx); err != nil {
			return err
		}
		last, err := v.look(ctx, v.mv.areKeys(suspects))
		if err != nil {
			return err
		}
		var unsteady, wrong []string
		for _, k := range suspects {
			switch {
			case again[k].what(v.copies()) == "":
			case again[k].from() == found[k].from() && again[k].same(after[k]) && again[k].same(last[k]):
				wrong = append(wrong, k)
			default:
				unsteady = append(unsteady, k) // its row changed meanwhile
			}
		}
		if repair && len(wrong) > 0 {
			if err := v.m.settleNow(ctx, v.mv.sources[0], wrong); err != nil {
				return err
			}
			v.result.Repaired += int64(len(wrong))
			unsteady, wrong, repair = append(unsteady, wrong...), nil, false
		}
		for _, k := range wrong {
			v.report(k, again[k])
		}
		if look == looks {
			v.result.Unsteady += int64(len(unsteady))
			return nil
		}
		suspects, found = unsteady, after
	}
	return nil
}

// seen is what all tables have of one key, by the tables' order in all.
type seen struct {
	sums   []string // of the tables in which it is
	places []place
	wrong  []bool // it is on another shard than the rule says
}

// from is what the old tables have.
func (s seen) from() string {
	var b strings.Builder
	for i, p := range s.places {
		if p.shard < 0 {
			b.WriteString(p.label + "=" + s.sums[i] + ";")
		}
	}
	return b.String()
}

// same: nothing has changed in any table.
func (s seen) same(o seen) bool {
	return slices.Equal(s.sums, o.sums) && slices.Equal(s.places, o.places)
}

// what is wrong, empty for nothing; copies is how many targets have each row.
func (s seen) what(copies int) string {
	var from, to []string
	for i, p := range s.places {
		switch {
		case p.shard < 0:
			from = append(from, s.sums[i])
		case s.wrong[i]:
			return "it is on another shard than the new rule says"
		default:
			to = append(to, s.sums[i])
		}
	}
	switch {
	case len(from) > 1:
		return "it is in more than one old table"
	case len(from) == 0 && len(to) > 0:
		return "it is in a new table and in no old one"
	case len(from) == 1 && len(to) == 0:
		return "it is in no new table"
	case len(from) == 1 && len(to) != copies:
		return fmt.Sprintf("it is in %d new tables and not in %d", len(to), copies)
	}
	for _, sum := range to {
		if sum != from[0] {
			return "its values differ"
		}
	}
	return ""
}

// look reads the checksum of each row of all tables.
func (v *verifier) look(ctx context.Context, cond string) (map[string]seen, error) {
	names := make([]string, len(v.mv.key))
	for i, k := range v.mv.key {
		names[i] = v.mv.columns[k].readExpr()
	}
	names = append(names, v.sum)
	out := map[string]seen{}
	for _, p := range v.all() {
		var keys, sums []string
		var wrong []bool
		sql := "SELECT " + strings.Join(append(slices.Clip(names), v.mv.place.exprsOf(p.name, p.parent)...), ", ") + " FROM " + p.name + " WHERE " + cond
		err := v.m.with(ctx, p.cluster, func(c *backend.Conn) error {
			keys, sums, wrong = nil, nil, nil
			return query(c, sql, func(row [][]byte) error {
				n := len(v.mv.key)
				keys, sums = append(keys, v.mv.keyOfOnly(row[:n])), append(sums, string(row[n]))
				shards, err := v.mv.place.of(row[n+1:])
				wrong = append(wrong, p.shard >= 0 && (err != nil || !slices.Contains(shards, p.shard)))
				return nil
			})
		})
		if err != nil {
			return nil, err
		}
		for i, k := range keys {
			s := out[k]
			s.sums, s.places, s.wrong = append(s.sums, sums[i]), append(s.places, p), append(s.wrong, wrong[i])
			out[k] = s
		}
	}
	return out, nil
}

func (v *verifier) suspects(found map[string]seen) []string {
	var out []string
	for k, s := range found {
		if s.what(v.copies()) != "" {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

func (v *verifier) report(key string, s seen) {
	if len(v.result.Differing) == v.opt.Most {
		v.result.More = true
		return
	}
	d := Difference{Schema: v.mv.Schema, Table: v.mv.Name, Key: key, What: s.what(v.copies())}
	for _, p := range s.places {
		d.Shards = append(d.Shards, p.label)
	}
	v.result.Differing = append(v.result.Differing, d)
}
