package session

import (
	"context"
	"slices"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
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
		if i < len(k.Types) && k.Types[i].Zero != "" && isNull(out[i]) {
			out[i] = k.Types[i].Zero
		}
	}
	return out
}

func isDefault(sql string) bool { return strings.EqualFold(sql, "DEFAULT") }

func isNull(sql string) bool { return strings.EqualFold(strings.Trim(sql, " ()"), nullText) }

// unique reports that the values of a lookup row can be met by others': none of
// the key's is NULL.
func unique(u *plan.KeptUnique, values []string) bool {
	return !slices.ContainsFunc(values[:u.Own], isNull)
}

// lookupName is a lookup table's quoted name.
func (w *stagedWrites) lookupName(u *plan.KeptUnique) string {
	if w.now.Table.Schema == "" {
		return sqlval.QuoteName(u.Lookup)
	}
	return sqlval.QuoteName(w.now.Table.Schema) + "." + sqlval.QuoteName(u.Lookup)
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
			if !unique(u, values) {
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
		parts[i] = sqlval.QuoteName(c) + " = " + values[i]
		if isNull(values[i]) {
			parts[i] = sqlval.QuoteName(c) + " <=> " + values[i]
		}
	}
	return strings.Join(parts, " AND ")
}

// remember inserts the lookup rows of rows that are written, those of each key
// at once; olds are what they had, if they were there. It reports whether all went
// in; with ignore, that one did not is no error, and its warning is the client's.
func (w *stagedWrites) remember(ctx context.Context, rows [][]string, olds []map[string]string, ignore bool) (all bool, err error) {
	for i := range w.now.Kept.Uniques {
		var tuples []string
		for j, row := range rows {
			var old map[string]string
			if olds != nil {
				old = olds[j]
			}
			if values := written(&w.now.Kept.Uniques[i].KeptKey, row, old); unique(&w.now.Kept.Uniques[i], values) {
				tuples = append(tuples, "("+strings.Join(values, ", ")+")")
			}
		}
		for some := range slices.Chunk(tuples, stagedRows) {
			if all, err := w.rememberSome(ctx, &w.now.Kept.Uniques[i], some, ignore); err != nil || !all {
				return false, err
			}
		}
	}
	return true, nil
}

func (w *stagedWrites) rememberSome(ctx context.Context, u *plan.KeptUnique, tuples []string, ignore bool) (all bool, err error) {
	names := make([]string, len(u.Columns))
	for j, c := range u.Columns {
		names[j] = sqlval.QuoteName(c)
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

// changeKept assigns values. All lookup rows go before the new ones come, so that
// it matters as little as it can in which order a server would change the rows; one
// row after the other where an order was asked for, or a row may be ignored.
func (w *stagedWrites) changeKept(ctx context.Context, rows [][]string) error {
	var changed [][]string
	var olds []map[string]string
	renew := func() error {
		err := w.forget(ctx, olds)
		if err == nil {
			_, err = w.remember(ctx, changed, olds, false)
		}
		changed, olds = nil, nil
		return err
	}
	for _, row := range rows {
		values, old := w.withDefaults(row[len(w.now.Keys)+len(w.now.Kept.Old):]), w.oldValues([][]string{row})[0]
		if w.n.Ignore {
			if err := w.changeIgnored(ctx, row, values, old); err != nil {
				return err
			}
			continue
		}
		if err := w.assign(ctx, row, values); err != nil {
			return err
		}
		if w.keeps(values, old) {
			continue
		}
		changed, olds = append(changed, values), append(olds, old)
		if w.now.Kept.Ordered {
			if err := renew(); err != nil {
				return err
			}
		}
	}
	return renew()
}

// assign changes one row itself.
func (w *stagedWrites) assign(ctx context.Context, row, values []string) error {
	assigned := make([]string, len(values))
	for i, c := range w.now.Columns {
		assigned[i] = sqlval.QuoteName(c.Name) + " = " + values[i]
	}
	return w.byKeys(ctx, "UPDATE "+w.ignore()+w.table()+" SET "+strings.Join(assigned, ", "), [][]string{row})
}

// changeIgnored is UPDATE IGNORE of one row: it stays as it was, with a warning,
// where its new values are another's.
func (w *stagedWrites) changeIgnored(ctx context.Context, row, values []string, old map[string]string) error {
	var warned diagnostics
	left := false // by a lookup table
	met, err := w.try(ctx, func() (bool, error) {
		before := w.counts[1]
		if err := w.assign(ctx, row, values); err != nil || w.counts[1] == before || w.keeps(values, old) {
			return false, err
		}
		if err := w.forget(ctx, []map[string]string{old}); err != nil {
			return false, err
		}
		all, err := w.remember(ctx, [][]string{values}, []map[string]string{old}, true)
		left, warned = !all, w.session.diag
		return !all, err
	})
	if err == nil && met {
		w.counts[0]++
		if left && !w.session.onMariaDB() { // which does not say so
			w.session.diag = warned
		}
		if w.session.c.Capabilities&capFoundRows != 0 {
			w.sum.AffectedRows++
		}
	}
	return err
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
	followers, err := w.takeFollowers(ctx, old)
	if err != nil {
		return err
	}
	if err := w.forget(ctx, old); err != nil {
		return err
	}
	if err := w.move(ctx, rows); err != nil {
		return err
	}
	for i, row := range rows {
		rows[i] = w.withDefaults(row[keys : len(row)-1])
	}
	if _, err := w.remember(ctx, rows, nil, false); err != nil {
		return err
	}
	return followers.put(ctx)
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
