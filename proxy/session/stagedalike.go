package session

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
)

// Rows that no key tells apart (plan.StagedWrite.Row): those that are alike are
// taken together, and how many they are is what counts.

// remove deletes rows as they were read. It returns those that are gone: of rows
// that are alike as many as there were.
func (w *stagedWrites) remove(ctx context.Context, rows [][]string) ([][]string, error) {
	verb := "DELETE " + w.ignore() + "FROM " + w.table()
	switch {
	case w.now.Row == "":
		rows = w.distinct(rows)
		return rows, w.byKeys(ctx, verb, rows)
	case !w.now.Joined && !w.now.Limited:
		before := w.written()
		if err := w.byKeys(ctx, verb, w.distinct(slices.Clone(rows))); err != nil {
			return nil, err
		}
		return rows, w.allGone(before, len(rows))
	}
	var gone [][]string
	for _, like := range w.alike(rows) {
		before, limit := w.written(), ""
		if w.now.Limited {
			limit = " LIMIT " + strconv.Itoa(len(like))
		}
		if err := w.one(ctx, verb+" WHERE "+w.where(like[:1])+limit); err != nil {
			return nil, err
		}
		if w.now.Limited {
			if err := w.allGone(before, len(like)); err != nil {
				return nil, err
			}
			gone = append(gone, like...)
			continue
		}
		gone = append(gone, slices.Repeat(like[:1], int(w.written()-before))...) //nolint:gosec // a number of rows
	}
	return gone, nil
}

// allGone: as many rows were deleted as had been read. They are locked since.
func (w *stagedWrites) allGone(before uint64, n int) error {
	if gone := w.written() - before; !w.n.Ignore && gone != uint64(n) {
		return sqlerr.Refuse("this write of "+w.now.Table.Table, "no key tells its rows apart, and of "+strconv.Itoa(n)+" that were read "+strconv.FormatUint(gone, 10)+
			" were found again by their values", "give the table a primary key")
	}
	return nil
}

// written is how many rows were written so far, or answered with.
func (w *stagedWrites) written() uint64 {
	return w.sum.AffectedRows + uint64(w.answer.rows) //nolint:gosec // a number of rows
}

// alike are the rows in groups that have the same keys, in the order they were
// read, without those that are none.
func (w *stagedWrites) alike(rows [][]string) [][][]string {
	var out [][][]string
	at := map[string]int{}
	for _, row := range rows {
		key := strings.Join(row[:w.now.KeyValues()], ",")
		i, seen := at[key]
		switch {
		case row[w.now.KeyValues()-1] == nullText:
		case seen:
			out[i] = append(out[i], row)
		default:
			at[key] = len(out)
			out = append(out, [][]string{row})
		}
	}
	return out
}

// whereAlike is the condition for rows that no key tells apart. The checksum is
// of all columns; the keys find the shards.
func (w *stagedWrites) whereAlike(rows [][]string) string {
	values := func(at int) (string, bool) {
		var list []string
		for _, row := range rows {
			if row[at] == nullText {
				return "", false
			}
			list = append(list, row[at])
		}
		slices.Sort(list)
		list = slices.Compact(list)
		if len(list) == 1 {
			return " = " + list[0], true
		}
		return " IN (" + strings.Join(list, ", ") + ")", true
	}
	row, _ := values(len(w.now.Keys))
	out := w.now.Row + row
	for i, k := range w.now.Keys {
		if in, ok := values(i); ok {
			out += " AND " + sqlval.QuoteName(k) + in
		} else if len(rows) == 1 {
			out += " AND " + sqlval.QuoteName(k) + " IS NULL"
		}
	}
	return out
}
