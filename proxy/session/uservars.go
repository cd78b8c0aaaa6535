package session

import (
	"context"
	"encoding/hex"
	"strings"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
)

// readUserVars takes over the user variables that a statement has assigned on
// this connection, and tells the connection that its state is known.
func (s *Session) readUserVars(c *backend.Conn, names []string) error {
	next := s.settings
	if err := next.readUsers(context.Background(), c, names); err != nil { // c is armed with the statement's context
		return err
	}
	s.settings = next
	c.Adopt(s.settings.state(false))
	return nil
}

// readUsers reads user variables with their types, as literals that give the
// same value on any connection.
func (s *settings) readUsers(ctx context.Context, c *backend.Conn, names []string) error {
	var list []string
	for _, n := range names {
		v := "@" + sqlval.QuoteName(n)
		list = append(list, v, "COLLATION("+v+")")
	}
	columns, rows, err := c.Select(ctx, "SELECT "+strings.Join(list, ", "))
	if err != nil {
		return err
	}
	if len(rows) != 1 || len(rows[0]) != len(list) {
		return sqlerr.New(sqlerr.UnknownError, "Serval: the server did not give back the user variables")
	}
	total := 0
	for i, n := range names {
		sql := userVarSQL(columns[2*i], rows[0][2*i], string(rows[0][2*i+1]), s.resultCharset())
		total += len(sql)
		s.setUser(n, sql)
	}
	for _, v := range s.plain.UserVars {
		total += len(v.SQL)
	}
	if len(s.plain.UserVars) > maxUserVars || total > maxVarBytes {
		return sqlerr.Refuse("so many or such long user variables",
			"they are carried to every connection the session uses, at most 1000 and 64 KB", "")
	}
	return nil
}

// resultCharset is character_set_results, in which values arrive.
func (s *settings) resultCharset() string {
	sql, ok := s.value("character_set_results")
	if !ok || sql == "NULL" {
		return "utf8mb4"
	}
	return unquoteIfString(sql)
}

// userVarSQL writes a user variable's value so that type, character set and
// collation come back the same.
func userVarSQL(col wire.Column, value []byte, collation, charset string) string {
	if value == nil {
		return "NULL"
	}
	switch col.Type {
	case wire.TypeTiny, wire.TypeShort, wire.TypeLong, wire.TypeInt24, wire.TypeLongLong, wire.TypeYear,
		wire.TypeDecimal, wire.TypeNewDecimal:
		return string(value)
	case wire.TypeFloat, wire.TypeDouble:
		if strings.ContainsAny(string(value), "eE") {
			return string(value)
		}
		return string(value) + "e0"
	}
	if collation == "binary" || collation == "" {
		if len(value) == 0 {
			return "_binary''"
		}
		return "x'" + hex.EncodeToString(value) + "'"
	}
	literal := "_" + charset + " x'" + hex.EncodeToString(value) + "'"
	if len(value) == 0 {
		literal = "''"
	}
	return "CONVERT(" + literal + " USING " + collationCharset(collation) + ") COLLATE " + collation
}
