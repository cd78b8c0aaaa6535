package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// A write whose rows are read first (plan.Staged): the reads are run and their
// rows kept, within the statement's memory budget, then the writes are made of
// them and run. Both are statements over logical tables like a client's own,
// in the transaction that is open or in one for this statement, so they are
// routed, numbered, merged and committed as anything else is.

// stagedPoint is the savepoint before such a write in a client's transaction.
const stagedPoint = "`serval:staged`"

// One write gets at most so many rows or about so many bytes.
const (
	stagedRows  = 500
	stagedBytes = 256 << 10
)

// allOrNothing runs a write in parts.
func (s *Session) allOrNothing(ctx context.Context, write func(context.Context) (executor.Outcome, error)) (executor.Outcome, error) {
	if s.enclosed {
		return write(ctx)
	}
	if s.tx.State() == txn.Idle { // under LOCK TABLES, or the like
		return executor.Outcome{}, sqlerr.Refuse("a write over several shards under LOCK TABLES", "it needs a transaction, which would release the locks", "UNLOCK TABLES first")
	}
	if err := s.tx.Savepoint(ctx, stagedPoint); err != nil {
		return executor.Outcome{}, err
	}
	out, err := write(ctx)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTime)
	defer cancel()
	if err != nil && !s.tx.Damaged() {
		_ = s.tx.RollbackTo(after, stagedPoint) // where it fails the transaction is damaged
	}
	if s.tx.State() == txn.Open && !s.tx.Damaged() {
		if e := s.tx.ReleaseSavepoint(after, stagedPoint); err == nil {
			err = e
		}
	}
	return out, err
}

// runStaged reads and writes. The settings are the session's, but for what
// would change values on their way.
func (s *Session) runStaged(ctx context.Context, n *plan.BoundStaged) (out executor.Outcome, err error) {
	saved, binary, foundRows := s.settings, s.binary, s.foundRows
	defer func() { s.settings, s.binary, s.foundRows, s.staging, s.onto = saved, binary, foundRows, false, 0 }()
	s.binary, s.staging, s.lookups = false, true, false
	s.settings.unset(selectLimit)
	s.settings.set("character_set_results", "utf8mb4")
	rows := &stagedRowset{left: s.deps.Limits.MemoryBudget, noBackslash: saved.mode&parser.NoBackslashEscapes != 0, timesCount: !s.onMariaDB()}
	if rows.left <= 0 {
		rows.left = defaultStagedMemory
	}
	reads := n.SQL
	if n.Rows != nil && constantsSurvive(saved.charset, n.Rows) {
		reads, rows.rows = nil, n.Rows
	}
	for _, sql := range reads {
		if err := s.readStaged(ctx, n, sql, rows); err != nil {
			return out, err
		}
	}
	if !asciiOrUTF8(saved.charset, n.Tail+n.Returning+n.Set+strings.Join(n.Met, "")) {
		return out, sqlerr.Refuse("this write over several shards", "it has text of the character set "+saved.charset+" in a part that is sent on as it is written", "SET NAMES utf8mb4")
	}
	if n.Returning != "" {
		s.settings.unset("character_set_results")
		if v, set := saved.value("character_set_results"); set {
			s.settings.set("character_set_results", v)
		}
	}
	s.settings.set("character_set_client", "utf8mb4")
	s.settings.set("character_set_connection", "utf8mb4")
	s.settings.set("collation_connection", "utf8mb4_general_ci") // or its character set would come back with it
	w := &stagedWrites{session: s, n: n, rows: rows, binary: binary, answer: returned{left: rows.left}}
	if err = w.run(ctx); err == nil && n.Returning != "" {
		err = w.answerReturning(ctx, &out)
	}
	w.sum.Warnings = uint16(min(s.diag.count, 65535))
	if out.OK = w.sum; out.Columns == 0 {
		out.Rows = -1
	}
	out.OK.Info = w.info()
	if n.Selected && (n.Tail != "" || len(n.Met) > 0) {
		w.ids.told = 0
	}
	w.ids.answer(&out)
	return out, err
}

// defaultStagedMemory is the budget where none is configured.
const defaultStagedMemory = 64 << 20

func asciiOrUTF8(charset, text string) bool {
	if strings.HasPrefix(charset, "utf8") {
		return true
	}
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 })
}

// inner runs one statement of a staged write; rows go to out.
func (s *Session) inner(ctx context.Context, sql []byte, out *wire.Writer) (*plan.Bound, executor.Outcome, error) {
	e, bound, err := s.bindInner(ctx, sql)
	if err != nil {
		return nil, executor.Outcome{}, err
	}
	if bound.Staged != nil && s.mayStage {
		staging := s.staging
		s.mayStage = false
		o, err := s.runStaged(ctx, bound.Staged)
		s.mayStage, s.staging = true, staging
		return bound, o, err
	}
	if bound.Staged != nil || e.session {
		return nil, executor.Outcome{}, sqlerr.Refuse("this write over several shards", "a part of it would have to be read first, too", "write it in two statements")
	}
	client := s.out
	s.out = out
	defer func() { s.out = client }()
	var params *preparedArgs
	if s.answersBinary {
		params = &preparedArgs{} // its values are in the text
	}
	o, err := s.attempt(ctx, e, bound, params)
	return bound, o, err
}

// bindInner plans and binds one.
func (s *Session) bindInner(ctx context.Context, sql []byte) (*planned, *plan.Bound, error) {
	var lexer parser.Lexer
	var fp parser.Fingerprint
	if err := lexer.Fingerprint(sql, s.settings.mode, &fp); err != nil {
		return nil, nil, err
	}
	e, _, err := s.plan(sql, &fp)
	if err != nil {
		return nil, nil, err
	}
	bound, err := s.bind(ctx, e.plan, &textArgs{text: sql, literals: fp.Literals, mode: s.settings.mode}, nil)
	if err != nil {
		return nil, nil, err
	}
	return e, bound, nil
}

// stagedRowset is rows as literals.
type stagedRowset struct {
	rows        [][]string
	left        int64
	noBackslash bool
	// operands: what is for no column is part of an expression.
	operands bool
	// timesCount: a column's TIME is the number 101112 to a YEAR, where an
	// expression's is this year (MySQL).
	timesCount bool
}

// limitedBuffer is what a read's answer is kept in.
type limitedBuffer struct {
	bytes.Buffer
	left int64
}

var errStagedMemory = errors.New("session: the rows of a staged write pass its memory")

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errStagedMemory
	}
	return b.Buffer.Write(p)
}

// readStaged runs one read and adds its rows.
//
// What is a warning of a SELECT is an error of a change in a strict mode.
func (s *Session) readStaged(ctx context.Context, n *plan.BoundStaged, sql string, to *stagedRowset) error {
	earlier := s.diag
	s.diag = diagnostics{}
	defer func() { s.diag.before(earlier) }()
	buf := &limitedBuffer{left: to.left}
	w := wire.NewWriter(buf)
	s.lookups = true
	bound, out, err := s.inner(ctx, []byte(sql), w)
	s.lookups = false
	if err == nil && lookedInVain(bound, &out) {
		buf = &limitedBuffer{left: to.left}
		w = wire.NewWriter(buf)
		_, out, err = s.inner(ctx, []byte(sql), w)
	}
	if err == nil {
		err = w.Flush()
	}
	switch {
	case errors.Is(err, errStagedMemory):
		return sqlerr.New(sqlerr.OutOfMemory, "Serval keeps at most %d MiB of the rows that a write over several shards reads first (limits: memory_per_statement), and this one passed that with: %s; "+
			"write in portions", to.left>>20, sql)
	case err != nil:
		return err
	case w.Err() == nil && s.mayNotBend(n) && s.diag.bent() != nil:
		return s.diag.bent()
	case out.Columns == 0:
		return sqlerr.New(sqlerr.UnknownError, "Serval: a read ahead of a write gave no rows: %s", sql)
	}
	to.left = buf.left
	r := wire.NewReader(buf, 1<<30)
	return to.decode(r, n, out.Columns, s.c.Capabilities&wire.CapDeprecateEOF == 0)
}

// mayNotBend: what is a warning of a read is an error of the write. MariaDB is
// strict with values only, not with what chooses the rows.
func (s *Session) mayNotBend(n *plan.BoundStaged) bool {
	return !n.Ignore && s.strict() && (n.Computes || !s.onMariaDB())
}

// stagedWrites makes and runs the writes.
type stagedWrites struct {
	session *Session
	n       *plan.BoundStaged
	rows    *stagedRowset
	// answer is that of RETURNING, binary for a prepared statement.
	answer returned
	binary bool
	// now is the write that is under way.
	now    *plan.StagedWrite
	sum    wire.OK
	ids    insertIDs
	given  [2]uint64 // the numbers that Serval has made for rows; see keptadd.go
	met    error     //  the last duplicate; see kept.go
	counts [3]uint64 // Records, Duplicates, Warnings; or matched, changed, warnings
}

func (w *stagedWrites) run(ctx context.Context) error {
	at := 0
	for i := range w.n.Writes {
		w.now = &w.n.Writes[i]
		rows := w.rows.rows
		if to := at + w.now.Values(); len(w.n.Writes) > 1 {
			rows = make([][]string, len(w.rows.rows))
			for j, row := range w.rows.rows {
				rows[j] = row[at:to:to]
			}
			at = to
		}
		if err := w.write(ctx, rows); err != nil {
			return err
		}
	}
	return nil
}

func (w *stagedWrites) write(ctx context.Context, rows [][]string) error {
	if w.now.Kept != nil {
		return w.keepAndWrite(ctx, rows)
	}
	switch w.now.Kind {
	case plan.StagedAdd:
		if w.now.Met != nil {
			return w.addMet(ctx, rows)
		}
		return w.insert(ctx, rows)
	case plan.StagedRemove:
		_, err := w.remove(ctx, rows)
		return err
	case plan.StagedChange:
		return w.change(ctx, w.distinct(rows))
	case plan.StagedMove:
		return w.move(ctx, rows)
	}
	return nil
}

// move deletes the rows and inserts them with their new keys: all are deleted
// first, since one may take the key another one had. With IGNORE one goes after
// the other, and stays where it is if its new place is taken.
func (w *stagedWrites) move(ctx context.Context, rows [][]string) error {
	if err := w.mayMove(ctx); err != nil {
		return err
	}
	sum, counts, ids := w.sum, w.counts, w.ids
	var matched, changed uint64
	together := [][][]string{rows}
	if w.n.Ignore {
		together = w.alike(rows)
	}
	for _, rows := range together {
		n, err := w.moveSome(ctx, rows)
		if err != nil {
			return err
		}
		matched, changed = matched+n[0], changed+n[1]
	}
	w.ids, w.sum.AffectedRows = ids, sum.AffectedRows+changed
	if w.session.c.Capabilities&capFoundRows != 0 {
		w.sum.AffectedRows = sum.AffectedRows + matched
	}
	w.counts = [3]uint64{counts[0] + matched, counts[1] + changed, 0}
	return nil
}

// moveSome moves rows; it reports how many were matched and changed.
func (w *stagedWrites) moveSome(ctx context.Context, rows [][]string) (n [2]uint64, err error) {
	var taken bool
	var told diagnostics
	move := func() (bool, error) {
		if rows, err = w.remove(ctx, rows); err != nil {
			return false, err
		}
		values, changed, err := w.moved(rows)
		if err != nil {
			return false, err
		}
		n[1] = changed
		before := w.sum.AffectedRows
		err = w.insert(ctx, values)
		taken, told = w.n.Ignore && w.sum.AffectedRows-before < uint64(len(rows)), w.session.diag
		return taken, err
	}
	if !w.n.Ignore {
		_, err = move()
	} else if _, err = w.try(ctx, move); err == nil && taken {
		if n[1] = 0; !w.session.onMariaDB() { // which does not say why
			w.session.diag = told
		}
	}
	n[0] = uint64(len(rows))
	return n, err
}

// moved are the rows that are inserted for some that move, and how many of them
// count as changed.
func (w *stagedWrites) moved(rows [][]string) (values [][]string, changed uint64, err error) {
	values = make([][]string, len(rows))
	for i, row := range rows {
		mark := row[len(row)-1]
		if mark == plan.MoveUntold {
			return nil, 0, sqlerr.Refuse("an UPDATE of the sharding column of "+w.now.Table.Table, "a row would move that has a TIMESTAMP of the hour that a change of "+
				"the clocks repeats, which cannot be told from the other one in the session's time zone", "SET time_zone = '+00:00'")
		}
		if mark != plan.MoveSame {
			changed++
		}
		values[i] = row[w.now.KeyValues() : len(row)-1]
	}
	return values, changed, nil
}

func (w *stagedWrites) table() string {
	if w.now.Table.Schema == "" {
		return sqlval.QuoteName(w.now.Table.Table)
	}
	return sqlval.QuoteName(w.now.Table.Schema) + "." + sqlval.QuoteName(w.now.Table.Table)
}

func (w *stagedWrites) ignore() string {
	if w.n.Ignore {
		return "IGNORE "
	}
	return ""
}

// distinct drops rows that come again, which a join may give, and those of the
// optional side of a join, which are none.
func (w *stagedWrites) distinct(rows [][]string) [][]string {
	seen := make(map[string]bool, len(rows))
	told := 0 // of the keys only a sharding column, behind the others, may be NULL
	if w.now.Row != "" {
		told = w.now.KeyValues() - 1
	}
	return slices.DeleteFunc(rows, func(row []string) bool {
		key := strings.Join(row[:w.now.KeyValues()], ",")
		if row[told] == nullText || seen[key] {
			return true
		}
		seen[key] = true
		return false
	})
}

// one runs one write and adds up its answer.
func (w *stagedWrites) one(ctx context.Context, sql string) error {
	s := w.session
	before := s.lastInsertID
	run := func(ctx context.Context, sql string) (*plan.Bound, executor.Outcome, error) {
		return s.inner(ctx, []byte(sql), s.out)
	}
	if w.n.Returning != "" {
		run = w.runReturning
	}
	bound, out, err := run(ctx, sql)
	if err != nil {
		return err
	}
	ids, err := s.insertIDs(ctx, bound, &out)
	if err != nil {
		return err
	}
	if bound.Plan.Effects.Numbers { // the connection was asked
		ids = insertIDs{told: out.OK.LastInsertID}
		if s.lastInsertID != before {
			ids.made, s.lastInsertID = s.lastInsertID, before
		}
	}
	w.ids.add(ids)
	if bound.MaxNumber != 0 {
		s.observe(ctx, bound)
	}
	w.sum.AffectedRows += out.OK.AffectedRows
	var n [3]uint64
	for _, form := range []string{"Records: %d  Duplicates: %d  Warnings: %d", "Rows matched: %d  Changed: %d  Warnings: %d"} {
		if c, _ := fmt.Sscanf(string(out.OK.Info), form, &n[0], &n[1], &n[2]); c == len(n) {
			break
		}
	}
	for i := range n {
		w.counts[i] += n[i]
	}
	return nil
}

// info is the text of the answer as one server gives it.
func (w *stagedWrites) info() []byte {
	switch w.n.Writes[0].Kind {
	case plan.StagedAdd:
		if len(w.n.Rows) == 1 {
			return nil // as one server
		}
		return fmt.Appendf(nil, "Records: %d  Duplicates: %d  Warnings: %d", len(w.rows.rows), w.counts[1], w.sum.Warnings)
	case plan.StagedChange, plan.StagedMove:
		return fmt.Appendf(nil, "Rows matched: %d  Changed: %d  Warnings: %d", w.counts[0], w.counts[1], w.sum.Warnings)
	case plan.StagedRemove:
	}
	return nil
}

// insert writes whole rows.
func (w *stagedWrites) insert(ctx context.Context, rows [][]string) error {
	verb := "INSERT " + w.ignore()
	if w.n.Replace {
		verb = "REPLACE "
	}
	var names []string
	for _, c := range w.now.Columns {
		names = append(names, sqlval.QuoteName(c.Name))
	}
	head := verb + "INTO " + w.table() + " (" + strings.Join(names, ", ") + ") VALUES "
	return w.batches(rows, func(batch [][]string) error {
		var b strings.Builder
		b.WriteString(head)
		for i, row := range batch {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString("(" + strings.Join(w.withDefaults(row), ", ") + ")")
		}
		return w.one(ctx, strings.TrimRight(b.String()+" "+w.n.Tail, " "))
	}, len(w.now.Columns))
}

// withDefaults puts DEFAULT where the statement says so.
func (w *stagedWrites) withDefaults(row []string) []string {
	out := make([]string, 0, len(w.now.Columns))
	for _, c := range w.now.Columns {
		if c.ByDefault {
			out = append(out, "DEFAULT")
			continue
		}
		out, row = append(out, row[0]), row[1:]
	}
	return out
}

// batches cuts rows by number and size. Each row must have as many values as
// are read for the columns.
func (w *stagedWrites) batches(rows [][]string, do func([][]string) error, columns int) error {
	read, most := 0, stagedRows
	if w.n.Returning != "" {
		most = 1
	}
	for _, c := range w.now.Columns {
		if !c.ByDefault {
			read++
		}
	}
	for len(rows) > 0 {
		n, size := 0, 0
		for n < len(rows) && n < most && size < stagedBytes {
			if columns > 0 && len(rows[n]) != read {
				return sqlerr.New(sqlerr.ColumnCount, "Column count doesn't match value count at row 1")
			}
			for _, v := range rows[n] {
				size += len(v) + 2
			}
			n++
		}
		if err := do(rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// byKeys runs the statement for the rows with these keys.
func (w *stagedWrites) byKeys(ctx context.Context, statement string, rows [][]string) error {
	return w.batches(rows, func(batch [][]string) error {
		return w.one(ctx, statement+" WHERE "+w.where(batch))
	}, 0)
}

// where is the condition for the rows with these keys.
func (w *stagedWrites) where(rows [][]string) string {
	if w.now.Row != "" {
		return w.whereAlike(rows)
	}
	names := make([]string, len(w.now.Keys))
	for i, k := range w.now.Keys {
		names[i] = sqlval.QuoteName(k)
	}
	if len(names) == 1 {
		values := make([]string, len(rows))
		for i, row := range rows {
			values[i] = row[0]
		}
		return names[0] + " IN (" + strings.Join(values, ", ") + ")"
	}
	var list []string
	for _, row := range rows {
		var one []string
		for i, name := range names {
			one = append(one, name+" <=> "+row[i])
			if row[i] != nullText {
				one[i] = name + " = " + row[i]
			}
		}
		list = append(list, "("+strings.Join(one, " AND ")+")")
	}
	return strings.Join(list, " OR ")
}

// change assigns the values; rows that get the same ones get them together.
func (w *stagedWrites) change(ctx context.Context, rows [][]string) error {
	if w.n.Set != "" {
		return w.byKeys(ctx, "UPDATE "+w.table()+" AS "+sqlval.QuoteName(w.now.Alias)+" SET "+w.n.Set, rows)
	}
	groups := map[string][][]string{}
	var order []string
	for _, row := range rows {
		values := w.withDefaults(row[len(w.now.Keys):])
		for i, c := range w.now.Columns {
			values[i] = sqlval.QuoteName(c.Name) + " = " + values[i]
		}
		set := strings.Join(values, ", ")
		if w.now.InOrder {
			if err := w.byKeys(ctx, "UPDATE "+w.ignore()+w.table()+" SET "+set, [][]string{row}); err != nil {
				return err
			}
			continue
		}
		if groups[set] == nil {
			order = append(order, set)
		}
		groups[set] = append(groups[set], row)
	}
	for _, set := range order {
		if err := w.byKeys(ctx, "UPDATE "+w.ignore()+w.table()+" SET "+set, groups[set]); err != nil {
			return err
		}
	}
	return nil
}
