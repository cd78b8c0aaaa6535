package session

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// Writes of a table with lookup tables (plan.Kept). The table's row is always
// written first, then its lookup rows, and a row that is changed or deleted has
// been read FOR UPDATE: so all who write one row wait for each other at the row,
// and those who write different rows with equal values at the lookup row, whose
// primary key is what makes the values unique. All of it is one transaction.

// keptPoint is the savepoint before a row that may meet another one.
const keptPoint = "`serval:row`"

// keptAttempts bounds how often a row that meets another one is tried: the other
// may be gone when it is looked for, and a third one there.
const keptAttempts = 10

// errDuplicate is ER_DUP_ENTRY.
const errDuplicate = 1062

// keepAndWrite is write for such a table.
func (w *stagedWrites) keepAndWrite(ctx context.Context, rows [][]string) error {
	switch w.now.Kind {
	case plan.StagedAdd:
		return w.addKept(ctx, rows)
	case plan.StagedRemove:
		rows = w.distinct(rows)
		if err := w.byKeys(ctx, "DELETE "+w.ignore()+"FROM "+w.table(), rows); err != nil {
			return err
		}
		return w.forget(ctx, w.oldValues(rows))
	case plan.StagedChange:
		return w.changeKept(ctx, w.distinct(rows))
	case plan.StagedMove:
		return w.moveKept(ctx, w.distinct(rows))
	}
	return nil
}

// oldValues are the kept columns' values of rows as they were read, by the
// column's name in lower case, the keys' too.
func (w *stagedWrites) oldValues(rows [][]string) []map[string]string {
	out := make([]map[string]string, len(rows))
	for i, row := range rows {
		out[i] = make(map[string]string, len(w.now.Keys)+len(w.now.Kept.Old))
		for j, k := range w.now.Keys {
			out[i][strings.ToLower(k)] = row[j]
		}
		for j, c := range w.now.Kept.Old {
			out[i][strings.ToLower(c)] = row[len(w.now.Keys)+j]
		}
	}
	return out
}

// written are a row's values of the key's columns: those that are written, else
// those it had.
func written(k *plan.KeptKey, row []string, old map[string]string) []string {
	out := make([]string, len(k.Columns))
	for i, c := range k.Columns {
		at := k.At[i]
		switch had, ok := old[strings.ToLower(c)]; {
		case at >= 0 && !isDefault(row[at]):
			out[i] = row[at]
		case at < 0 && ok:
			out[i] = had
		default:
			out[i] = k.Default[i]
		}
	}
	return out
}

func isDefault(sql string) bool { return strings.EqualFold(sql, "DEFAULT") }

func isNull(sql string) bool { return strings.EqualFold(strings.Trim(sql, " ()"), nullText) }

// unique reports that the values of a lookup row can be met by others': none of
// the key's is NULL. The last is the sharding column's.
func unique(values []string) bool { return !slices.ContainsFunc(values[:len(values)-1], isNull) }

// lookupName is a lookup table's quoted name.
func (w *stagedWrites) lookupName(u *plan.KeptUnique) string {
	if w.now.Table.Schema == "" {
		return quoteName(u.Lookup)
	}
	return quoteName(w.now.Table.Schema) + "." + quoteName(u.Lookup)
}

// silently runs a statement on what is kept: its counts and warnings are not the
// client's.
func (w *stagedWrites) silently(ctx context.Context, sql string) (wire.OK, diagnostics, error) {
	s := w.session
	earlier := s.diag
	s.diag = diagnostics{}
	_, out, err := s.inner(ctx, []byte(sql), s.out)
	told := s.diag
	s.diag = earlier
	return out.OK, told, err
}

// forget deletes the lookup rows of rows that had these values.
func (w *stagedWrites) forget(ctx context.Context, old []map[string]string) error {
	for i := range w.now.Kept.Uniques {
		u := &w.now.Kept.Uniques[i]
		var conditions []string
		flush := func() error {
			if len(conditions) == 0 {
				return nil
			}
			_, _, err := w.silently(ctx, "DELETE FROM "+w.lookupName(u)+" WHERE "+strings.Join(conditions, " OR "))
			conditions = conditions[:0]
			return err
		}
		had := plan.KeptKey{Columns: u.Columns, At: slices.Repeat([]int{-1}, len(u.Columns)), Default: u.Default}
		for _, row := range old {
			values := written(&had, nil, row)
			if !unique(values) {
				continue
			}
			conditions = append(conditions, "("+equals(u.Columns, values)+")")
			if len(conditions) == stagedRows {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

// equals is the condition that the columns have the values.
func equals(columns, values []string) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = quoteName(c) + " = " + values[i]
		if isNull(values[i]) {
			parts[i] = quoteName(c) + " <=> " + values[i]
		}
	}
	return strings.Join(parts, " AND ")
}

// remember inserts the lookup rows of rows that are written, those of each key
// at once. It reports whether all went in; with ignore, that one did not is no
// error, and its warning is the client's.
func (w *stagedWrites) remember(ctx context.Context, rows [][]string, old map[string]string, ignore bool) (all bool, err error) {
	for i := range w.now.Kept.Uniques {
		u := &w.now.Kept.Uniques[i]
		var tuples []string
		for _, row := range rows {
			if values := written(&u.KeptKey, row, old); unique(values) {
				tuples = append(tuples, "("+strings.Join(values, ", ")+")")
			}
		}
		if len(tuples) == 0 {
			continue
		}
		names := make([]string, len(u.Columns))
		for j, c := range u.Columns {
			names[j] = quoteName(c)
		}
		verb := "INSERT "
		if ignore {
			verb = "INSERT IGNORE "
		}
		ok, told, err := w.silently(ctx, verb+"INTO "+w.lookupName(u)+" ("+strings.Join(names, ", ")+") VALUES "+strings.Join(tuples, ", "))
		if err != nil {
			return false, w.named(err, u)
		}
		if ignore && ok.AffectedRows < uint64(len(tuples)) {
			w.warnOf(told, u)
			return false, nil
		}
	}
	return true, nil
}

// warnOf gives the client the lookup table's warning of a duplicate as the
// table's own.
func (w *stagedWrites) warnOf(told diagnostics, u *plan.KeptUnique) {
	for _, r := range told.rows {
		if r.code == errDuplicate {
			r.message = w.namedText(r.message, u)
			w.session.diag.rows = append(w.session.diag.rows, r)
			w.session.diag.count++
		}
	}
}

// named gives a lookup table's error of a duplicate the name of the table's own
// key.
func (w *stagedWrites) named(err error, u *plan.KeptUnique) error {
	e := sqlerr.From(err)
	if e.Code != errDuplicate {
		return err
	}
	return (&sqlerr.Error{Code: e.Code, State: e.State, Message: w.namedText(e.Message, u)}).WithCause(err)
}

// namedText: MySQL says 'table.key', MariaDB 'key'.
func (w *stagedWrites) namedText(message string, u *plan.KeptUnique) string {
	const before = "for key '"
	at := strings.LastIndex(message, before)
	if at < 0 {
		return message
	}
	key := u.Key
	if strings.Contains(message[at:], ".") {
		key = w.now.Table.Table + "." + key
	}
	return message[:at] + before + key + "'"
}

// addKept inserts the rows. Those of a plain INSERT may meet no other; else each
// that does is a case of its own.
func (w *stagedWrites) addKept(ctx context.Context, rows [][]string) error {
	now := *w.now
	now.Keys = now.Kept.By // of the rows that are met
	if auto := now.Kept.Number; auto == len(now.Columns) {
		now.Columns = append(slices.Clone(now.Columns), plan.StagedColumn{Name: now.Kept.NumberName})
	}
	w.now = &now
	if err := w.number(ctx, rows); err != nil {
		return err
	}
	if !w.n.Ignore && !w.n.Replace && w.n.Tail == "" {
		return w.addPlain(ctx, rows)
	}
	if len(rows) > 1 {
		switch met, err := w.try(ctx, func() (bool, error) { return w.addAll(ctx, rows) }); {
		case err != nil:
			return err
		case !met:
			return nil
		}
	}
	for _, row := range rows {
		if err := w.addOne(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// number gives the rows that want one an auto-increment number.
func (w *stagedWrites) number(ctx context.Context, rows [][]string) error {
	at := w.now.Kept.Number
	if at < 0 {
		return nil
	}
	var wanting []int
	for i, row := range rows {
		if at == len(row) && len(row) == len(w.now.Columns)-1 {
			rows[i] = append(row, nullText)
		}
		if len(rows[i]) != len(w.now.Columns) {
			return columnCount(i)
		}
		if w.wantsNumber(rows[i][at]) {
			wanting = append(wanting, i)
		}
	}
	if len(wanting) == 0 {
		return nil
	}
	first, err := w.session.reserve(ctx, &plan.ErrNeedNumbers{Table: w.now.Table, Column: w.now.Kept.NumberName, Rows: len(wanting)})
	if err != nil {
		return err
	}
	for i, row := range wanting {
		rows[row][at] = strconv.FormatUint(first+uint64(i), 10)
	}
	w.sum.LastInsertID = first
	return nil
}

func columnCount(row int) error {
	return sqlerr.New(sqlerr.ColumnCount, "Column count doesn't match value count at row %d", row+1)
}

// wantsNumber: as MySQL numbers a row.
func (w *stagedWrites) wantsNumber(sql string) bool {
	if isNull(sql) || isDefault(sql) {
		return true
	}
	f, err := strconv.ParseFloat(strings.Trim(sql, "'"), 64)
	return err == nil && f == 0 && !w.session.settings.zeroIsValue
}

// columns are the names of what is inserted.
func (w *stagedWrites) columns() []string {
	var names []string
	for _, c := range w.now.Columns {
		names = append(names, quoteName(c.Name))
	}
	return names
}

// insertRows inserts rows into the table itself.
func (w *stagedWrites) insertRows(ctx context.Context, rows [][]string, ignore bool, tail string) error {
	var b strings.Builder
	b.WriteString("INSERT ")
	if ignore {
		b.WriteString("IGNORE ")
	}
	b.WriteString("INTO " + w.table() + " (" + strings.Join(w.columns(), ", ") + ") VALUES ")
	for i, row := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("(" + strings.Join(row, ", ") + ")")
	}
	b.WriteString(tail)
	return w.one(ctx, b.String())
}

// addPlain inserts the rows and their lookup rows, many at once.
func (w *stagedWrites) addPlain(ctx context.Context, rows [][]string) error {
	return w.batches(rows, func(batch [][]string) error {
		if err := w.insertRows(ctx, batch, false, ""); err != nil {
			return err
		}
		_, err := w.remember(ctx, batch, nil, false)
		return err
	}, len(w.now.Columns))
}

// addAll is addPlain with what IGNORE bends; met: a row was left out.
func (w *stagedWrites) addAll(ctx context.Context, rows [][]string) (met bool, err error) {
	if !w.n.Ignore {
		return false, w.addPlain(ctx, rows)
	}
	err = w.batches(rows, func(batch [][]string) error {
		before := w.sum.AffectedRows
		if err := w.insertRows(ctx, batch, true, ""); err != nil {
			return err
		}
		all := w.sum.AffectedRows-before == uint64(len(batch))
		if all {
			all, err = w.remember(ctx, batch, nil, true)
		}
		met = met || !all
		return err
	}, len(w.now.Columns))
	return met, err
}

// try does something that may meet another row, which is then undone.
func (w *stagedWrites) try(ctx context.Context, do func() (met bool, err error)) (met bool, err error) {
	s := w.session
	if err := s.tx.Savepoint(ctx, keptPoint); err != nil {
		return false, err
	}
	sum, counts, diag := w.sum, w.counts, s.diag
	diag.rows = slices.Clone(diag.rows)
	met, err = do()
	if err != nil && sqlerr.From(err).Code != errDuplicate {
		return false, err
	}
	if !met && err == nil {
		return false, s.tx.ReleaseSavepoint(ctx, keptPoint)
	}
	w.met = err
	w.sum, w.counts, s.diag = sum, counts, diag
	return true, s.tx.RollbackTo(ctx, keptPoint)
}

// addOne inserts a row that may meet others.
func (w *stagedWrites) addOne(ctx context.Context, row []string) error {
	if len(row) != len(w.now.Columns) {
		return columnCount(0)
	}
	one := [][]string{row}
	if w.n.Ignore {
		return w.addIgnored(ctx, one)
	}
	for range keptAttempts {
		switch met, err := w.try(ctx, func() (bool, error) { return false, w.addPlain(ctx, one) }); {
		case err != nil:
			return err
		case !met:
			return nil
		}
		other, err := w.metBy(ctx, row)
		if err != nil {
			return err
		}
		if other == nil {
			continue // it has just gone
		}
		w.counts[1]++
		if !w.n.Replace {
			return w.changeMet(ctx, row, other)
		}
		if err := w.byKeys(ctx, "DELETE FROM "+w.table(), [][]string{other}); err != nil {
			return err
		}
		if err := w.forget(ctx, w.oldValues([][]string{other})); err != nil {
			return err
		}
	}
	return w.met
}

// addIgnored leaves the row out, with a warning, where it meets another one.
func (w *stagedWrites) addIgnored(ctx context.Context, one [][]string) error {
	before := w.sum.AffectedRows
	left := false // by a lookup table; its warning stays
	var warned diagnostics
	met, err := w.try(ctx, func() (bool, error) {
		if err := w.insertRows(ctx, one, true, ""); err != nil || w.sum.AffectedRows == before {
			return false, err
		}
		all, err := w.remember(ctx, one, nil, true)
		left, warned = !all, w.session.diag
		return !all, err
	})
	if err == nil && met && left {
		w.session.diag = warned
	}
	if err == nil && (met || w.sum.AffectedRows == before) {
		w.counts[1]++
	}
	return err
}

// metBy is the row that a row to be inserted meets first, by its keys and kept
// columns; nil for none.
func (w *stagedWrites) metBy(ctx context.Context, row []string) ([]string, error) {
	for i := range w.now.Kept.Keys {
		k := &w.now.Kept.Keys[i]
		values := written(k, row, nil)
		if slices.ContainsFunc(values, func(v string) bool { return isNull(v) || isDefault(v) }) {
			continue
		}
		rows, err := w.readKept(ctx, equals(k.Columns, values))
		if err != nil || len(rows) > 0 {
			return first(rows), err
		}
	}
	return nil, nil
}

func first(rows [][]string) []string {
	if len(rows) == 0 {
		return nil
	}
	return rows[0]
}

// readKept reads keys and kept columns of the rows that satisfy the condition,
// and locks them.
func (w *stagedWrites) readKept(ctx context.Context, where string) ([][]string, error) {
	names := make([]string, 0, len(w.now.Keys)+len(w.now.Kept.Old))
	for _, c := range append(slices.Clone(w.now.Keys), w.now.Kept.Old...) {
		names = append(names, quoteName(c))
	}
	to := &stagedRowset{left: w.rows.left, noBackslash: w.rows.noBackslash}
	n := &plan.BoundStaged{Staged: &plan.Staged{Writes: []plan.StagedWrite{{Kind: plan.StagedRemove, Keys: names}}}}
	err := w.session.readStaged(ctx, n, "SELECT "+strings.Join(names, ", ")+" FROM "+w.table()+" WHERE "+where+" FOR UPDATE", to)
	return to.rows, err
}

// changeMet is ON DUPLICATE KEY UPDATE of the row that was met. The INSERT is
// sent to its shard, where it meets it again.
func (w *stagedWrites) changeMet(ctx context.Context, row, other []string) error {
	s := w.session
	sharding := w.now.Kept.Uniques[0].Columns
	name := sharding[len(sharding)-1]
	at := slices.IndexFunc(w.now.Keys, func(k string) bool { return strings.EqualFold(k, name) })
	shard, err := s.shardOf(ctx, "SELECT 1 FROM "+w.table()+" WHERE "+equals([]string{name}, []string{other[at]}))
	if err != nil {
		return err
	}
	s.onto = shard + 1
	err = w.insertRows(ctx, [][]string{row}, false, " "+w.n.Tail)
	s.onto = 0
	if err != nil || !w.now.Kept.Reassigns {
		return err
	}
	now, err := w.readKept(ctx, w.where([][]string{other}))
	if err != nil || len(now) != 1 || slices.Equal(now[0], other) {
		return err
	}
	return w.renew(ctx, w.oldValues([][]string{other})[0], w.oldValues(now)[0])
}

// renew puts the lookup rows of one row's new values in the place of the old
// ones'.
func (w *stagedWrites) renew(ctx context.Context, old, now map[string]string) error {
	if err := w.forget(ctx, []map[string]string{old}); err != nil {
		return err
	}
	kept := *w.now.Kept
	defer func(k *plan.Kept) { w.now.Kept = k }(w.now.Kept) // now is ours
	w.now.Kept = &kept
	kept.Uniques = slices.Clone(kept.Uniques)
	for i := range kept.Uniques {
		u := &kept.Uniques[i]
		u.At = slices.Repeat([]int{-1}, len(u.Columns))
	}
	_, err := w.remember(ctx, [][]string{nil}, now, false)
	return err
}

// shardOf is the one shard a query over a table goes to.
func (s *Session) shardOf(ctx context.Context, sql string) (int, error) {
	_, bound, err := s.bindInner(ctx, []byte(sql))
	if err != nil {
		return 0, err
	}
	if tasks(bound) != 1 {
		return 0, sqlerr.Refuse("this write", "the shard of a row that it meets is not certain", "update the row by its key")
	}
	return bound.Tasks[0].Tasks[0].Shard, nil
}

// changeKept assigns values row by row, as a server does: what a row before it
// has given up is free.
func (w *stagedWrites) changeKept(ctx context.Context, rows [][]string) error {
	behind := len(w.now.Keys) + len(w.now.Kept.Old)
	for _, row := range rows {
		values := w.withDefaults(row[behind:])
		assigned := make([]string, len(values))
		for i, c := range w.now.Columns {
			assigned[i] = quoteName(c.Name) + " = " + values[i]
		}
		if err := w.byKeys(ctx, "UPDATE "+w.table()+" SET "+strings.Join(assigned, ", "), [][]string{row}); err != nil {
			return err
		}
		old := w.oldValues([][]string{row})
		if w.keeps(values, old[0]) {
			continue
		}
		if err := w.forget(ctx, old); err != nil {
			return err
		}
		if _, err := w.remember(ctx, [][]string{values}, old[0], false); err != nil {
			return err
		}
	}
	return nil
}

// keeps: the row's kept values stay what they were.
func (w *stagedWrites) keeps(values []string, old map[string]string) bool {
	for i := range w.now.Kept.Uniques {
		u := &w.now.Kept.Uniques[i]
		now := written(&u.KeptKey, values, old)
		for j, c := range u.Columns {
			if now[j] != old[strings.ToLower(c)] {
				return false
			}
		}
	}
	return true
}

// moveKept is move with the lookup rows.
func (w *stagedWrites) moveKept(ctx context.Context, rows [][]string) error {
	old := w.oldValues(rows)
	keys, behind := len(w.now.Keys), len(w.now.Keys)+len(w.now.Kept.Old)
	for i, row := range rows {
		rows[i] = append(slices.Clone(row[:keys]), row[behind:]...)
	}
	if err := w.forget(ctx, old); err != nil {
		return err
	}
	if err := w.move(ctx, rows); err != nil { // cuts rows to what it inserts
		return err
	}
	for _, row := range rows {
		if _, err := w.remember(ctx, [][]string{w.withDefaults(row)}, nil, false); err != nil {
			return err
		}
	}
	return nil
}

// constantsSurvive: the constants mean the same in UTF-8, in which a staged
// write runs.
func constantsSurvive(charset string, rows [][]string) bool {
	for _, row := range rows {
		for _, v := range row {
			if !asciiOrUTF8(charset, v) {
				return false
			}
		}
	}
	return true
}

// part: what is planned is a part of a staged write, which keeps the lookup
// tables itself. The INSERTs of LOAD DATA are not.
func (s *Session) part() bool { return s.staging && !s.mayStage }
