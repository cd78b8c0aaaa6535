package session

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
)

// LAST_INSERT_ID() behind an INSERT is the first number that was made for a row
// that is inserted; else what LAST_INSERT_ID(expression) has set; else what it was.
// The OK tells the same, or else the number of the last row that was written (tried
// on MySQL 9.7 and MariaDB 10.11). To a shard, Serval's numbers are the rows' own.

// insertIDs is what a write, or a part of one, says of it; 0 for nothing.
type insertIDs struct {
	made uint64 // the first number of a row that is inserted
	set  uint64 // by LAST_INSERT_ID(expression), by the last row
	told uint64 // the last row's, in the OK only
}

// add puts what a later part says behind it.
func (i *insertIDs) add(later insertIDs) {
	*i = insertIDs{cmp.Or(i.made, later.made), cmp.Or(later.set, i.set), cmp.Or(later.told, i.told)}
}

// answer puts it into the outcome.
func (i insertIDs) answer(out *executor.Outcome) {
	out.OK.LastInsertID = cmp.Or(i.made, i.set, i.told)
	out.KeepsID = i.made == 0 && i.set == 0
}

// insertIDs are those of a statement that has just been run.
func (s *Session) insertIDs(ctx context.Context, bound *plan.Bound, out *executor.Outcome) (insertIDs, error) {
	id, g := out.OK.LastInsertID, bound.Given
	switch {
	case bound.FirstNumber != 0:
		return insertIDs{made: bound.FirstNumber}, nil
	case g == nil && bound.KeepsID:
		return insertIDs{told: id}, nil
	case g == nil:
		return insertIDs{made: id}, nil
	}
	all := insertedAll(g, out)
	first := g.First
	if !all {
		var err error
		if first, err = s.firstInserted(ctx, g, out); err != nil {
			return insertIDs{}, err
		}
	}
	switch {
	case first != 0:
		return insertIDs{made: first}, nil
	case g.SetsID && !all:
		return insertIDs{set: id}, nil
	}
	return insertIDs{told: id}, nil
}

// insertedAll: the OK says that no row has met another one.
func insertedAll(g *plan.Given, out *executor.Outcome) bool {
	ok := &out.OK
	switch {
	case out.Columns > 0 || ok.AffectedRows != uint64(g.Rows):
		return false
	case g.Rows == 1: // which counts as one with CLIENT_FOUND_ROWS, too, where it changes nothing
		return ok.LastInsertID == cmp.Or(g.First, g.Own, ok.LastInsertID)
	}
	var records, duplicates int
	n, err := fmt.Sscanf(string(ok.Info), "Records: %d  Duplicates: %d", &records, &duplicates)
	return err == nil && n == 2 && duplicates == 0
}

// firstInserted is the first of the numbers that a row has now, 0 if none has: of
// several rows only some of which are inserted no server says which.
func (s *Session) firstInserted(ctx context.Context, g *plan.Given, out *executor.Outcome) (uint64, error) {
	if g.First == 0 || out.Columns == 0 && (g.Rows == 1 || out.OK.AffectedRows == 0) {
		return 0, nil
	}
	saved, binary, answersBinary, foundRows, staging := s.settings, s.binary, s.answersBinary, s.foundRows, s.staging
	defer func() {
		s.settings, s.binary, s.answersBinary, s.foundRows, s.staging = saved, binary, answersBinary, foundRows, staging
	}()
	s.binary, s.answersBinary, s.staging, s.lookups = false, false, true, false
	s.settings.unset("sql_select_limit")
	table, column := sqlval.QuoteName(g.Table.Schema)+"."+sqlval.QuoteName(g.Table.Table), sqlval.QuoteName(g.Column)
	rows, err := s.innerRows(ctx, fmt.Sprintf("SELECT /*+ SERVAL(primary) */ MIN(%s) FROM %s WHERE %s BETWEEN %d AND %d",
		column, table, column, g.First, g.First+uint64(g.Count)-1))
	if err != nil || len(rows) != 1 || rows[0][0] == nil {
		return 0, err
	}
	return strconv.ParseUint(string(rows[0][0]), 10, 64)
}

// settleID is what an INSERT whose rows may meet others does to LAST_INSERT_ID().
func (s *Session) settleID(ctx context.Context, bound *plan.Bound, out *executor.Outcome) error {
	ids, err := s.insertIDs(ctx, bound, out)
	if err != nil {
		if s.enclosed {
			s.undo(ctx)
		}
		return err
	}
	ids.answer(out)
	if ids.made != 0 {
		s.lastInsertID = ids.made
	}
	return nil
}

// takesID: what the OK tells is LAST_INSERT_ID() from now on.
func takesID(e *plan.Effects, bound *plan.Bound, out *executor.Outcome) bool {
	switch {
	case out.OK.LastInsertID == 0 || out.KeepsID || e.Numbers:
		return false
	case e.Meets && out.OK.AffectedRows != 1: // the row's that was met
		return e.SetsID
	}
	return !bound.KeepsID
}
