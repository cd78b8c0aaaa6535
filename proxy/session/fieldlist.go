package session

import (
	"bytes"
	"context"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
)

// fieldList answers COM_FIELD_LIST, the deprecated way the mysql client learns
// column names for completion: the definitions of a table's columns.
func (s *Session) fieldList(ctx context.Context, body []byte) {
	ctx = s.begin(ctx, "Field List", body)
	defer s.end()
	table, _, _ := bytes.Cut(body, []byte{0})
	p, err := s.prepare(ctx, []byte("SELECT * FROM "+sqlval.QuoteName(string(table))))
	if err != nil {
		s.fail(because(ctx, err))
		return
	}
	for i := range p.columns {
		s.buf = p.columns[i].Append(s.buf[:0])
		s.buf = wire.AppendTextValue(s.buf, nil) // the column's default
		_ = s.out.Packet(s.buf)
	}
	s.eof(wire.OK{})
}
