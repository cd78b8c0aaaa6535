package session

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
)

// relayedStatus is what of a server's status flags is true of Serval's answer
// too; the rest is Serval's own view.
const relayedStatus = wire.StatusNoGoodIndexUsed | wire.StatusNoIndexUsed | wire.StatusQueryWasSlow | wire.StatusDBDropped

// status is the session's status flags.
func (s *Session) status() uint16 {
	var f uint16
	if s.autocommit {
		f |= wire.StatusAutocommit
	}
	if s.tx.State() == txn.Open {
		f |= wire.StatusInTrans
		if s.tx.Options().Access == "READ ONLY" {
			f |= wire.StatusInTransReadonly
		}
	}
	if s.more {
		f |= wire.StatusMoreResults
	}
	if s.settings.mode&parser.NoBackslashEscapes != 0 {
		f |= wire.StatusNoBackslashEscapes
	}
	return f
}

// ok answers OK. Of o.Status only what is relayed counts.
func (s *Session) ok(o wire.OK) {
	o.Status = o.Status&relayedStatus | s.status()
	s.buf = o.Append(s.buf[:0], s.c.Capabilities, wire.HeaderOK)
	_ = s.out.Packet(s.buf) // the error sticks, and the loop's Flush returns it
}

// eof closes a result set.
func (s *Session) eof(o wire.OK) {
	o.Status = o.Status&relayedStatus | s.status()
	o.AffectedRows, o.LastInsertID, o.Info = 0, 0, nil
	s.buf = o.AppendEnd(s.buf[:0], s.c.Capabilities)
	_ = s.out.Packet(s.buf)
}

// fail answers ERR. It ends a multi-statement packet too.
func (s *Session) fail(err error) {
	e := sqlerr.From(err)
	s.buf = wire.AppendErr(s.buf[:0], e)
	_ = s.out.Packet(s.buf)
}

// column is one column of a result Serval gives by itself.
type column struct {
	name   string
	number bool         // BIGINT, else text
	exact  *wire.Column // its definition but for the name, where that is known better
}

// utf8mb4 general_ci is the id of the text Serval makes: ASCII in every
// character set a session may have.
const ownCollation = wire.CollationUTF8MB4General

func (c column) definition() wire.Column {
	if c.exact != nil {
		def := *c.exact
		def.Name = []byte(c.name)
		return def
	}
	def := wire.Column{Name: []byte(c.name), Charset: ownCollation, Length: 1024, Type: wire.TypeVarString, Decimals: 31}
	if c.number {
		def.Charset, def.Length, def.Type = wire.CollationBinary, 21, wire.TypeLongLong
		def.Flags, def.Decimals = wire.FlagBinary|wire.FlagNum, 0
	}
	return def
}

// table answers with a result set of Serval's own. A nil value is NULL; the
// values of number columns are their digits.
func (s *Session) table(columns []column, rows [][][]byte) { s.tableWarned(columns, rows, 0) }

// tableWarned is table with a number of warnings.
func (s *Session) tableWarned(columns []column, rows [][][]byte, warnings int) {
	s.columnsOnly(columns)
	for _, row := range rows {
		s.buf = s.appendRow(s.buf[:0], columns, row)
		_ = s.out.Packet(s.buf)
	}
	s.rowCount, s.foundRows = -1, int64(len(rows))
	s.eof(wire.OK{Warnings: uint16(min(warnings, math.MaxUint16))})
}

func (s *Session) columnsOnly(columns []column) {
	s.buf = wire.AppendLenEncInt(s.buf[:0], uint64(len(columns)))
	_ = s.out.Packet(s.buf)
	for _, c := range columns {
		def := c.definition()
		s.buf = def.Append(s.buf[:0])
		_ = s.out.Packet(s.buf)
	}
	if s.c.Capabilities&wire.CapDeprecateEOF == 0 {
		s.buf = wire.AppendEOF(s.buf[:0], s.status(), 0)
		_ = s.out.Packet(s.buf)
	}
}

func (s *Session) appendRow(dst []byte, columns []column, row [][]byte) []byte {
	if !s.binary {
		for _, v := range row {
			dst = wire.AppendTextValue(dst, v)
		}
		return dst
	}
	dst = wire.AppendBinaryRow(dst, len(row))
	for i, v := range row {
		switch {
		case v == nil:
			wire.SetBinaryNull(dst, i)
		case columns[i].number:
			n, _ := strconv.ParseInt(string(v), 10, 64) // our own digits
			if x := columns[i].exact; x != nil && x.Type == wire.TypeLong {
				dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
				continue
			}
			dst = binary.LittleEndian.AppendUint64(dst, uint64(n))
		default:
			dst = wire.AppendLenEncBytes(dst, v)
		}
	}
	return dst
}

// digits is a number as table takes it.
func digits(n int64) []byte { return strconv.AppendInt(nil, n, 10) }
