package session

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
)

// INSERT and REPLACE into a table with lookup tables; see kept.go.

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
	if w.now.Met != nil {
		w.warnOfValues()
	} else if !w.n.Ignore && !w.n.Replace && w.n.Tail == "" {
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
	w.given = [2]uint64{first, first + uint64(len(wanting))}
	return nil
}

// inserted notes the rows' numbers that Serval has made.
func (w *stagedWrites) inserted(rows [][]string) {
	at := w.now.Kept.Number
	if at < 0 {
		return
	}
	for _, row := range rows {
		if n, err := strconv.ParseUint(row[at], 10, 64); err == nil && n >= w.given[0] && n < w.given[1] {
			w.ids.add(insertIDs{made: n})
			return
		}
	}
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
		names = append(names, sqlval.QuoteName(c.Name))
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
		w.inserted(batch)
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
		before := w.wrote()
		if err := w.insertRows(ctx, batch, true, ""); err != nil {
			return err
		}
		all := w.wrote()-before == uint64(len(batch))
		if all {
			w.inserted(batch)
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
	sum, counts, ids, diag, answer := w.sum, w.counts, w.ids, s.diag, w.answer
	diag.rows = slices.Clone(diag.rows)
	met, err = do()
	if err != nil && sqlerr.From(err).Code != errDuplicate {
		return false, err
	}
	if !met && err == nil {
		return false, s.tx.ReleaseSavepoint(ctx, keptPoint)
	}
	w.met = err
	w.sum, w.counts, w.ids, s.diag, w.answer = sum, counts, ids, diag, answer
	return true, s.tx.RollbackTo(ctx, keptPoint)
}

// addOne inserts a row that may meet others.
func (w *stagedWrites) addOne(ctx context.Context, row []string) error {
	if len(row) != len(w.now.Columns) {
		return columnCount(0)
	}
	one := [][]string{row}
	switch {
	case w.now.Met != nil:
		return w.addKeptMet(ctx, row)
	case w.n.Ignore:
		return w.addIgnored(ctx, one)
	}
	for range keptAttempts {
		switch met, err := w.try(ctx, func() (bool, error) { return false, w.addPlain(ctx, one) }); {
		case err != nil:
			return err
		case !met:
			return nil
		}
		_, other, err := w.keptWhere(ctx, row)
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
		if err := w.replaced(ctx, other); err != nil {
			return err
		}
		if err := w.forget(ctx, w.oldValues([][]string{other})); err != nil {
			return err
		}
	}
	return w.met
}

// wrote is how many rows have been written: those of RETURNING are answered with
// instead of being counted.
func (w *stagedWrites) wrote() uint64 { return w.sum.AffectedRows + uint64(w.answer.rows) }

// replaced deletes a row that REPLACE has met; RETURNING is not about it.
func (w *stagedWrites) replaced(ctx context.Context, other []string) error {
	sql := "DELETE FROM " + w.table()
	if w.n.Returning == "" {
		return w.byKeys(ctx, sql, [][]string{other})
	}
	_, _, err := w.silently(ctx, sql+" WHERE "+w.where([][]string{other}))
	return err
}

// addIgnored leaves the row out, with a warning, where it meets another one.
func (w *stagedWrites) addIgnored(ctx context.Context, one [][]string) error {
	before := w.wrote()
	left := false // by a lookup table; its warning stays
	var warned diagnostics
	met, err := w.try(ctx, func() (bool, error) {
		if err := w.insertRows(ctx, one, true, ""); err != nil || w.wrote() == before {
			return false, err
		}
		w.inserted(one)
		all, err := w.remember(ctx, one, nil, true)
		left, warned = !all, w.session.diag
		return !all, err
	})
	if err == nil && met && left {
		w.session.diag = warned
	}
	if err == nil && (met || w.wrote() == before) {
		w.counts[1]++
	}
	return err
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
		names = append(names, sqlval.QuoteName(c))
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
	had := make([]string, len(w.now.Kept.Sharding))
	for i, name := range w.now.Kept.Sharding {
		had[i] = other[slices.IndexFunc(w.now.Keys, func(k string) bool { return strings.EqualFold(k, name) })]
	}
	shard, err := s.shardOf(ctx, "SELECT 1 FROM "+w.table()+" WHERE "+equals(w.now.Kept.Sharding, had))
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
	_, err := w.remember(ctx, [][]string{nil}, []map[string]string{now}, false)
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
