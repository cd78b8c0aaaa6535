package session

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/internal/infile"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// LOAD DATA LOCAL INFILE. The client sends the file, its lines become INSERTs
// of several rows each, run like a client's own in one transaction (or one
// savepoint). What a line means to the server's LOAD DATA and would not to
// INSERT is in loadrow.go, the warnings in loadwarn.go.

// errLocalDisabled is ER_CLIENT_LOCAL_FILES_DISABLED; MariaDB has 4166 for it.
const errLocalDisabled = 3948

// loadStatement answers LOAD DATA LOCAL.
func (s *Session) loadStatement(ctx context.Context, text string, tokens []token) (bool, error) {
	if !isLoadLocal(tokens) {
		return false, nil
	}
	if !s.deps.LocalInfile {
		return true, sqlerr.New(errLocalDisabled, "Loading local data is disabled; this must be enabled on both the client and server sides (Serval: local_infile: true)")
	}
	if s.c.Capabilities&wire.CapLocalFiles == 0 {
		return true, sqlerr.New(errLocalDisabled, "Loading local data is disabled; this must be enabled on both the client and server sides")
	}
	t, err := readLoad(text, tokens, s.settings.mode)
	if err != nil {
		return true, err
	}
	e := &planned{kind: parser.KindLoad, verb: "LOAD", tables: append([]parser.TableName{{Schema: t.schema, Table: t.table}}, t.readTables(s.settings.mode)...),
		plan: &plan.Plan{Root: &plan.Load{Table: plan.TableName{Schema: t.schema, Table: t.table}}}, ignores: !t.replace}
	s.loading = t
	defer func() { s.loading = nil }()
	err = s.dispatch(ctx, e, &textArgs{}, nil)
	if err != nil {
		s.endFile()
	}
	return true, err
}

// readTables are the tables that SET reads in subqueries.
func (l *loadText) readTables(mode parser.Mode) []parser.TableName {
	var exprs []string
	for _, set := range l.sets {
		exprs = append(exprs, l.source[set.tokens[0].Start:set.tokens[len(set.tokens)-1].End])
	}
	if len(exprs) == 0 {
		return nil
	}
	return parser.Parse([]byte("SELECT "+strings.Join(exprs, ", ")), parser.Options{Mode: mode}).Tables
}

// loader is one LOAD DATA LOCAL at work.
type loader struct {
	*loadText
	s      *Session
	fields []loadField
	strict bool // a value that does not fit is an error
	// refused is the first warning of a line that is one, by its rank.
	refused     error
	refusedRank int
	noBack      bool
	// order are the fields that go into a row, in the order of the columns.
	order []int
	utf8  bool // the file is in a character set of which bytes may be no text
	head  []byte

	batch    []byte
	rows     int   // in the batch
	starts   []int // where they begin
	tuple    []byte
	records  uint64 // in all, the batch's too
	affected uint64
	vars     map[string][]byte // user variables of the last record; nil is NULL
	warn     loadWarnings

	collation string
	// unnumbered: no field is for the AUTO_INCREMENT column.
	unnumbered bool
	// generates: a row of the batch leaves its number to the server or Serval;
	// numbered: LAST_INSERT_ID() is known.
	generates, numbered bool
}

// load runs it. The plan's table is that of s.loading.
func (s *Session) load(ctx context.Context) (out executor.Outcome, err error) {
	saved, binary, found := s.settings, s.binary, s.foundRows
	defer func() { s.settings, s.binary, s.foundRows, s.staging, s.mayStage = saved, binary, found, false, false }()
	s.binary, s.staging, s.mayStage = false, true, true
	s.settings.unset(selectLimit)
	l := &loader{loadText: s.loading, s: s, strict: s.loading.replace && s.strict(), noBack: saved.mode&parser.NoBackslashEscapes != 0}
	l.warn.mariadb = s.onMariaDB()
	if err := l.prepare(ctx); err != nil {
		return out, err
	}
	file, err := s.askFile(l.file)
	if err != nil {
		return out, err
	}
	if err := l.run(ctx, file); err != nil {
		return out, err
	}
	s.endFile()
	if err := l.keepVariables(&saved); err != nil {
		return out, err
	}
	out.Rows = -1
	out.OK = wire.OK{AffectedRows: l.affected, Warnings: uint16(min(s.diag.count, 65535))}
	deleted, skipped := uint64(0), l.records-min(l.records, l.affected)
	if l.replace {
		deleted, skipped = l.affected-min(l.records, l.affected), 0
	}
	out.OK.Info = fmt.Appendf(nil, "Records: %d  Deleted: %d  Skipped: %d  Warnings: %d", l.records, deleted, skipped, s.diag.count)
	return out, nil
}

// prepare asks what the table and the file's character set are like.
func (l *loader) prepare(ctx context.Context) error {
	s := l.s
	charset := l.charset
	if charset == "" {
		rows, err := s.innerRows(ctx, "SELECT @@character_set_database")
		if err != nil {
			return err
		}
		if len(rows) == 1 && len(rows[0]) == 1 {
			charset = string(rows[0][0])
		}
	}
	s.settings.set("character_set_results", "utf8mb4")
	known, err := l.describe(ctx)
	if err != nil {
		return err
	}
	if err := l.assign(known); err != nil {
		return err
	}
	return l.readAs(ctx, charset)
}

// readAs makes INSERTs be read in the file's character set.
func (l *loader) readAs(ctx context.Context, charset string) error {
	s := l.s
	switch charset {
	case "utf8":
		charset = "utf8mb3"
	case "ucs2", "utf16", "utf16le", "utf32", "utf16be", "ucs2be":
		return sqlerr.Refuse("LOAD DATA LOCAL of a file in "+charset, "servers cannot load such files either", "convert the file to utf8mb4")
	}
	if dangerousCharset(charset) {
		return sqlerr.Refuse("LOAD DATA LOCAL of a file in "+charset, "a second byte of a character may look like a quote or a backslash", "convert the file to utf8mb4")
	}
	rows, err := s.ask(ctx, "SELECT DEFAULT_COLLATE_NAME FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME = "+quoteText(charset))
	if err != nil {
		return err
	}
	if len(rows) != 1 {
		const unknownCharset = 1115
		return sqlerr.New(unknownCharset, "Unknown character set: '%s'", charset)
	}
	if !asciiOrUTF8(charset, string(l.head)+l.source) || !asciiOrUTF8(s.settings.charset, l.source) {
		return sqlerr.Refuse("LOAD DATA LOCAL of a file in "+charset, "the statement has text in another character set", "write names and texts of it in ASCII, or convert the file to utf8mb4")
	}
	l.utf8 = strings.HasPrefix(charset, "utf8")
	l.collation = string(rows[0][0])
	l.charset = charset
	s.settings.set("character_set_client", charset)
	s.settings.set("character_set_connection", charset)
	s.settings.set("collation_connection", l.collation)
	return nil
}

// run reads the file and inserts its lines.
func (l *loader) run(ctx context.Context, file *clientFile) error {
	r := infile.NewReader(file.reader(ctx), l.format, l.s.deps.Limits.MaxPacket)
	for range l.skip {
		if more, err := r.Skip(len(l.fields)); err != nil || !more {
			return err
		}
	}
	for {
		fields, long, err := r.Record(len(l.fields))
		if errors.Is(err, io.EOF) {
			return l.flush(ctx)
		}
		if errors.Is(err, infile.ErrTooLong) {
			err = sqlerr.New(sqlerr.PacketTooLarge, "Row %d of the file is longer than 'max_allowed_packet' bytes", l.records+1)
		}
		if err != nil {
			return err
		}
		if err := l.add(fields, long); err != nil {
			return err
		}
		if l.refused != nil { // but for what the server says of the values before
			if err := l.flush(ctx); err != nil {
				return err
			}
			return l.refused
		}
		if l.rows >= stagedRows || len(l.batch) >= stagedBytes {
			if err := l.flush(ctx); err != nil {
				return err
			}
		}
	}
}

// add makes a row of a record.
func (l *loader) add(fields []infile.Field, long bool) error {
	l.records++
	l.warn.row = int(l.records)
	l.tuple = append(l.tuple[:0], '(')
	for _, i := range l.order {
		if len(l.tuple) > 1 {
			l.tuple = append(l.tuple, ", "...)
		}
		if err := l.value(&l.fields[i], i, fields); err != nil {
			return err
		}
	}
	l.missing(len(fields))
	for i := range l.sets {
		if len(l.tuple) > 1 {
			l.tuple = append(l.tuple, ", "...)
		}
		l.expression(&l.sets[i], fields)
	}
	if long {
		l.note(rankLong, errTooManyFields, "Row %d was truncated; it contained more data than there were input columns", l.records)
	}
	if l.rows > 0 {
		l.batch = append(l.batch, ", "...)
	}
	l.starts = append(l.starts[:l.rows], len(l.batch))
	l.batch = append(append(l.batch, l.tuple...), ')')
	l.rows++
	l.remember(fields)
	return nil
}

// flush inserts the batch.
func (l *loader) flush(ctx context.Context) error {
	if l.rows == 0 {
		return nil
	}
	s := l.s
	sql := append(bytes.Clone(l.head), l.batch...)
	earlier := s.diag
	s.diag = diagnostics{}
	bound, out, err := s.inner(ctx, sql, s.out)
	first := int(l.records) - l.rows // lines before the batch
	if err != nil {
		return l.blame(ctx, err, bound, first)
	}
	l.warn.merge(&s.diag, first)
	s.diag.before(earlier)
	if bound.MaxNumber != 0 {
		s.observe(ctx, bound)
	}
	if bound.FirstNumber != 0 || bound.Given != nil {
		ids, err := s.insertIDs(ctx, bound, &out)
		if err != nil {
			return err
		}
		out.OK.LastInsertID, l.generates = ids.made, true
	}
	if (l.generates || l.unnumbered) && !l.numbered && out.OK.LastInsertID != 0 {
		s.lastInsertID, l.numbered = out.OK.LastInsertID, true
	}
	l.affected += out.OK.AffectedRows
	l.batch, l.rows, l.generates = l.batch[:0], 0, false
	return nil
}

// literal appends a field's text.
func (l *loader) literal(dst, v []byte) []byte {
	if l.utf8 && (!utf8.Valid(v) || l.charset != "utf8mb4" && bytes.ContainsFunc(v, beyondBMP)) { // no literal of the character set
		return append(append(append(dst, "CAST(x'"...), hex.EncodeToString(v)...), "' AS BINARY)"...)
	}
	return sqlval.Value{Kind: sqlval.String, Text: v}.AppendSQL(dst, l.noBack)
}

// beyondBMP: utf8mb3 has no such characters.
func beyondBMP(r rune) bool { return r > 0xffff }

// innerRows runs a query and gives its rows as text.
func (s *Session) innerRows(ctx context.Context, sql string) ([][][]byte, error) {
	earlier := s.diag
	s.diag = diagnostics{}
	defer func() { s.diag = earlier }()
	buf := &limitedBuffer{left: defaultStagedMemory}
	w := wire.NewWriter(buf)
	_, out, err := s.inner(ctx, []byte(sql), w)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return nil, err
	}
	r := wire.NewReader(buf, 1<<30)
	skip := 1 + out.Columns
	if s.c.Capabilities&wire.CapDeprecateEOF == 0 {
		skip++
	}
	var rows [][][]byte
	for {
		p, err := r.Packet()
		switch {
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			return nil, err
		case skip > 0:
			skip--
			continue
		}
		spans, err := wire.TextSpans(nil, p, out.Columns)
		if err != nil {
			return nil, err
		}
		row := make([][]byte, len(spans))
		for i, sp := range spans {
			if v := sp.Of(p); v != nil {
				row[i] = append([]byte{}, v...)
			}
		}
		rows = append(rows, row)
	}
}
