package session

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// decode reads a text answer: its columns, and rows up to the end of r.
func (t *stagedRowset) decode(r *wire.Reader, staged *plan.BoundStaged, n int, eof bool) error {
	if _, err := r.Packet(); err != nil { // the number of columns
		return err
	}
	columns := make([]wire.Column, n)
	for i := range columns {
		p, err := r.Packet()
		if err != nil {
			return err
		}
		col, err := wire.DecodeColumn(p)
		if err != nil {
			return err
		}
		columns[i] = col.Clone()
		if col.Type == wire.TypeFloat {
			return sqlerr.Refuse("this write over several shards", "it reads the FLOAT column "+string(columns[i].Name)+", whose text has not all digits", "add 0e0 to it, which gives a DOUBLE")
		}
	}
	to := targets(staged, n)
	for i, c := range columns {
		if to[i] != nil && numeric(to[i].Type) && c.Flags&(wire.FlagEnum|wire.FlagSet) != 0 {
			return sqlerr.Refuse("this write over several shards", "it takes an ENUM or SET for the number "+to[i].Name+", which is its place and not its text", "add 0 to it")
		}
		if to[i] != nil && numeric(to[i].Type) && c.Type != wire.TypeBit && c.Type != wire.TypeJSON && c.Type != wire.TypeNull && valueKind(c) == sqlval.Binary && len(c.OrgTable) == 0 {
			return sqlerr.Refuse("this write over several shards", "it takes a binary string for the number "+to[i].Name+
				", and x'37' would be the number 55 where the string '7' is 7", "CAST it to the number that is meant")
		}
	}
	if eof {
		if _, err := r.Packet(); err != nil {
			return err
		}
	}
	var spans []wire.Span
	for {
		p, err := r.Packet()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			spans, err = wire.TextSpans(spans[:0], p, n)
		}
		if err != nil {
			return err
		}
		row := make([]string, n)
		for i, sp := range spans {
			row[i] = t.literal(columns[i], to[i], sp.Of(p))
		}
		t.rows = append(t.rows, row)
	}
}

// targets are the columns that the values read are for, nil for keys and marks.
func targets(n *plan.BoundStaged, read int) []*plan.StagedColumn {
	to := make([]*plan.StagedColumn, read)
	begin := 0
	for i := range n.Writes {
		w := &n.Writes[i]
		at := begin + w.KeyValues() + w.OldValues()
		for j := range w.Columns {
			if c := &w.Columns[j]; !c.ByDefault && at < read {
				to[at], at = c, at+1
			}
		}
		begin += w.Values()
	}
	return to
}

// literal is a value as SQL that the column it is for takes as it would have
// taken the value itself: x'37' is 55 to a number and DATE'2026-10-01' is
// 20261001, where the texts are 7 and an error.
func (t *stagedRowset) literal(c wire.Column, to *plan.StagedColumn, v []byte) string {
	if v == nil {
		return nullText
	}
	kind := valueKind(c)
	if c.Type == wire.TypeJSON {
		kind = sqlval.String // a binary string is no JSON
	}
	text := string(sqlval.Value{Kind: kind, Text: v}.AppendSQL(nil, t.noBackslash))
	switch {
	case to == nil && t.operands && kind == sqlval.Temporal && !strings.HasPrefix(string(v), "0000"):
		return temporalLiteral(c.Type, "bigint") + text
	case to == nil:
	case kind == sqlval.Decimal && numeric(to.Type) && bytes.IndexByte(v, '.') >= 0:
		return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") // what a quotient's digits were filled up with
	case kind == sqlval.Float && to.Type != "decimal" && !bytes.ContainsAny(v, "eE"):
		return text + "e0" // 2.5 as an exact number is rounded to 3, as a DOUBLE to 2
	case kind == sqlval.Temporal && numeric(to.Type) && strings.HasPrefix(string(v), "0000-00-00"):
		return "0"
	case t.timesCount && c.Type == wire.TypeTime && to.Type == "year" && len(c.OrgTable) > 0:
		return strings.ReplaceAll(string(v), ":", "")
	case kind == sqlval.Temporal:
		return temporalLiteral(c.Type, to.Type) + text
	case c.Type == wire.TypeBit && numeric(to.Type) && len(v) <= 8:
		var n uint64
		for _, b := range v {
			n = n<<8 | uint64(b)
		}
		return strconv.FormatUint(n, 10) // MariaDB takes x'41' for text
	case kind != sqlval.Binary || c.Type == wire.TypeBit || holdsBytes(to.Type):
	case to.Places:
		text = string(sqlval.Value{Kind: sqlval.String, Text: v}.AppendSQL(nil, t.noBackslash))
		if !ascii(v) {
			return "_binary" + text // what text it is depends on the column's character set
		}
	default:
		return "CAST(" + text + " AS BINARY)"
	}
	return text
}

const nullText = "NULL"

// holdsBytes: a column of the type takes a binary string as it is.
func holdsBytes(dataType string) bool {
	return strings.HasSuffix(dataType, "binary") || strings.HasSuffix(dataType, "blob")
}

func numeric(dataType string) bool {
	switch dataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "year", "bit":
		return true
	}
	return false
}

// temporalLiteral is the word before a time's text, empty where the column takes
// the text for the same. There is no such literal of the year 0.
func temporalLiteral(from byte, to string) string {
	switch to {
	case "date", "datetime", "timestamp":
		if from != wire.TypeTime {
			return ""
		}
	case "time":
		if from == wire.TypeTime {
			return ""
		}
	default:
		if !numeric(to) {
			return ""
		}
	}
	switch from {
	case wire.TypeDate:
		return "DATE"
	case wire.TypeTime:
		return "TIME"
	}
	return "TIMESTAMP"
}
