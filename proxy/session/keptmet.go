package session

import (
	"context"
	"slices"

	"github.com/servaldb/serval/router/plan"
)

// ON DUPLICATE KEY UPDATE by UPDATEs (stagedmet.go) of a table with lookup tables
// (kept.go): the UPDATE of the row that is met is planned as a client's, which keeps
// them.

// addKeptMet inserts one row or changes the one it meets.
func (w *stagedWrites) addKeptMet(ctx context.Context, row []string) error {
	return w.insertOrChange(ctx, row, func() (left bool, err error) {
		before, one := w.wrote(), [][]string{row}
		if err := w.insertRows(ctx, one, w.n.Ignore, ""); err != nil || w.wrote() == before {
			return true, err
		}
		w.inserted(one)
		all, err := w.remember(ctx, one, nil, w.n.Ignore)
		return !all, err
	})
}

// keptWhere is the condition for the row that a row to be inserted meets first, by
// the key by which it does, and that row's keys and kept columns; empty for none.
func (w *stagedWrites) keptWhere(ctx context.Context, row []string) (where string, met []string, err error) {
	for i := range w.now.Kept.Keys {
		k := &w.now.Kept.Keys[i]
		values := written(k, row, nil)
		if slices.ContainsFunc(values, func(v string) bool { return isNull(v) || isDefault(v) }) {
			continue
		}
		for j := range values {
			values[j] = asStored(values[j], k.Types[j])
		}
		where := equals(k.Columns, values)
		if rows, err := w.readKept(ctx, where); err != nil || len(rows) > 0 {
			return where, first(rows), err
		}
	}
	return "", nil, nil
}

// toldNumber is the number of the row that is met, which the OK tells.
func (w *stagedWrites) toldNumber(ctx context.Context, m *plan.Met, where string) (string, error) {
	if m.Number == "" {
		return "", nil
	}
	rows, err := w.readMet(ctx, []string{m.Number}, where)
	if err != nil || len(rows) != 1 {
		return "", err
	}
	return rows[0][0], nil
}
