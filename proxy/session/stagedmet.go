package session

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
)

// ON DUPLICATE KEY UPDATE by UPDATEs (plan.Met): a row is inserted under a
// savepoint; where it meets another one, that is changed by a statement of its
// own, which may read other tables and move the row.

// addMet inserts the rows, all at once where none of them meets another.
func (w *stagedWrites) addMet(ctx context.Context, rows [][]string) error {
	w.warnOfValues()
	if !w.n.Ignore && len(rows) > 1 {
		switch met, err := w.try(ctx, func() (bool, error) { return false, w.insert(ctx, rows) }); {
		case err != nil:
			return err
		case !met:
			return nil
		}
	}
	for _, row := range rows {
		if err := w.addOrChange(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// warnOfValues says what MySQL says of VALUES().
func (w *stagedWrites) warnOfValues() {
	for range w.now.Met.Values {
		if s := w.session; !s.onMariaDB() && !w.binary { // to a prepared one it is said when it is prepared
			s.diag.rows = append(s.diag.rows, diagnostic{level: "Warning", code: 1287, message: valuesDeprecated})
			s.diag.count++
		}
	}
}

// valuesDeprecated is what MySQL says of VALUES() there.
const valuesDeprecated = "'VALUES function' is deprecated and will be removed in a future release. Please use an alias (INSERT INTO ... VALUES (...) AS alias) " +
	"and replace VALUES(col) in the ON DUPLICATE KEY UPDATE clause with alias.col instead"

// addOrChange inserts one row or changes the one it meets.
func (w *stagedWrites) addOrChange(ctx context.Context, row []string) error {
	return w.insertOrChange(ctx, row, func() (bool, error) {
		before := w.sum.AffectedRows
		err := w.insert(ctx, [][]string{row})
		return w.n.Ignore && w.sum.AffectedRows == before, err
	})
}

// insertOrChange tries to insert the row and changes the one it meets. left: with
// IGNORE it was left out.
func (w *stagedWrites) insertOrChange(ctx context.Context, row []string, insert func() (left bool, err error)) error {
	for range keptAttempts {
		var told diagnostics
		met, err := w.try(ctx, func() (bool, error) {
			left, err := insert()
			told = w.session.diag
			return left, err
		})
		if err != nil || !met {
			return err
		}
		where, err := w.metWhere(ctx, row)
		switch {
		case err != nil:
			return err
		case where != "":
			w.tellBent(told)
			return w.changeWhere(ctx, row, where)
		case w.n.Ignore:
			w.session.diag = told // why it is left out
			return nil
		}
	}
	return w.met
}

// metWhere is the condition for the row that the new one meets first, which is
// locked; empty where there is none any more.
func (w *stagedWrites) metWhere(ctx context.Context, row []string) (string, error) {
	if w.now.Kept != nil {
		where, _, err := w.keptWhere(ctx, row)
		return where, err
	}
	for i := range w.now.Met.Keys {
		k := &w.now.Met.Keys[i]
		values := written(k, row, nil)
		if slices.ContainsFunc(values, func(v string) bool { return isNull(v) || isDefault(v) }) {
			continue
		}
		list := []string{"1"}
		if w.comparable(k) { // the values as they are stored, which no condition has to bend
			list = k.Columns
		}
		where := equals(k.Columns, values)
		earlier := w.session.diag
		rows, err := w.readMet(ctx, list, where)
		w.session.diag = earlier
		switch {
		case err != nil:
			return "", err
		case len(rows) > 0 && w.comparable(k):
			return equals(k.Columns, rows[0]), nil
		case len(rows) > 0:
			return where, nil
		}
	}
	return "", nil
}

// comparable: the key's values find it again as they are read.
func (w *stagedWrites) comparable(k *plan.KeptKey) bool {
	return !slices.ContainsFunc(k.At, func(at int) bool {
		return at < 0 || slices.Contains([]string{"float", "double", "bit", "json", "timestamp", ""}, w.now.Columns[at].Type)
	})
}

// tellBent keeps what was said of the new row's values, which one server says
// whether the row meets another or not.
func (w *stagedWrites) tellBent(told diagnostics) {
	d := &w.session.diag
	for _, r := range told.rows[min(len(d.rows), len(told.rows)):] {
		if r.level != "Error" && r.code != errDuplicate {
			d.rows = append(d.rows, r)
			d.count++
		}
	}
}

// readMet reads expressions over the row.
func (w *stagedWrites) readMet(ctx context.Context, list []string, where string) ([][]string, error) {
	to := &stagedRowset{left: w.rows.left, noBackslash: w.rows.noBackslash, operands: true}
	n := &plan.BoundStaged{Staged: &plan.Staged{Ignore: w.n.Ignore, Writes: []plan.StagedWrite{{Kind: plan.StagedRemove, Keys: list}}}}
	err := w.session.readStaged(ctx, n, "SELECT "+strings.Join(list, ", ")+" FROM "+w.table()+" WHERE "+where+" FOR UPDATE", to)
	return to.rows, err
}

// changeWhere runs the UPDATE of the row that is met.
func (w *stagedWrites) changeWhere(ctx context.Context, row []string, where string) error {
	values, err := w.newValues(ctx, row, where)
	if err != nil {
		return err
	}
	number, err := w.toldNumber(ctx, w.now.Met, where)
	if err != nil {
		return err
	}
	var set strings.Builder
	for i := range w.now.Met.Set {
		if w.now.Met.Set[i].New != "" {
			set.WriteString(values[0])
			values = values[1:]
		}
		set.WriteString(w.n.Met[i])
	}
	s := w.session
	change := w.table() + " SET " + set.String() + " WHERE " + where
	s.mayStage = true
	_, out, err := s.inner(ctx, []byte("UPDATE "+w.ignore()+change), s.out)
	s.mayStage = false
	if err != nil {
		return err
	}
	var matched, changed uint64
	_, _ = fmt.Sscanf(string(out.OK.Info), "Rows matched: %d  Changed: %d", &matched, &changed) // zero where it says something else
	if w.n.Ignore && changed == 0 && s.onMariaDB() {
		if err := w.warnTaken(ctx, "UPDATE "+change); err != nil {
			return err
		}
	}
	ids := insertIDs{set: out.OK.LastInsertID}
	if changed > 0 {
		ids.told, _ = strconv.ParseUint(number, 10, 64) // a negative one is told of nowhere
	}
	w.ids.add(ids)
	switch w.counts[1] += changed; {
	case changed > 0:
		w.sum.AffectedRows += 2
	case s.c.Capabilities&capFoundRows != 0:
		w.sum.AffectedRows++
	}
	return nil
}

// warnTaken warns of a change that IGNORE has left out because another row has
// its key, of which MariaDB's UPDATE says nothing and its INSERT does.
func (w *stagedWrites) warnTaken(ctx context.Context, update string) error {
	s := w.session
	if err := s.tx.Savepoint(ctx, keptPoint); err != nil {
		return err
	}
	s.mayStage = true
	_, _, err := w.silently(ctx, update)
	s.mayStage = false
	if err == nil {
		return s.tx.RollbackTo(ctx, keptPoint)
	}
	if e := sqlerr.From(err); e.Code == errDuplicate {
		s.diag.rows = append(s.diag.rows, diagnostic{level: "Warning", code: e.Code, message: e.Message})
		s.diag.count++
	}
	return s.tx.RollbackTo(ctx, keptPoint)
}

// newValues are the values of Met.Set's News, as they would have been stored. So
// the row is put in the place of the one it meets, read, and all that undone.
func (w *stagedWrites) newValues(ctx context.Context, row []string, where string) ([]string, error) {
	var list []string
	for i := range w.now.Met.Set {
		if e := w.now.Met.Set[i].New; e != "" {
			list = append(list, e)
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	var names []string
	for _, c := range w.now.Columns {
		names = append(names, sqlval.QuoteName(c.Name))
	}
	s := w.session
	if err := s.tx.Savepoint(ctx, keptPoint); err != nil {
		return nil, err
	}
	if _, _, err := w.silently(ctx, "DELETE FROM "+w.table()+" WHERE "+where); err != nil {
		return nil, err
	}
	if _, _, err := w.silently(ctx, "INSERT "+w.ignore()+"INTO "+w.table()+" ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(row, ", ")+")"); err != nil {
		return nil, err
	}
	rows, err := w.readMet(ctx, list, where)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, sqlerr.Refuse("ON DUPLICATE KEY UPDATE by new values of "+w.now.Table.Table, "the new row is stored with other values in its key than it was given", "give the values as they are stored")
	}
	return rows[0], s.tx.RollbackTo(ctx, keptPoint)
}
