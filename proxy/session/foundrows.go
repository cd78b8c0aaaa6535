package session

import (
	"context"
	"strconv"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/router/plan"
)

// found follows what a statement did to FOUND_ROWS(). The lease has asked the
// server already where only that one knows.
func (s *Session) found(f plan.Found, args plan.Args, out *executor.Outcome) {
	switch f.Kind {
	case plan.FoundKept, plan.FoundAsked:
	case plan.FoundUnknown:
		s.foundRows = -1
	case plan.FoundSent:
		sent := out.Rows
		if out.Columns == 0 { // SELECT … INTO @x
			sent = int64(out.OK.AffectedRows)
		}
		s.foundRows = f.Rows(sent, args)
	}
}

// askFound asks the connection that ran a statement for its FOUND_ROWS().
func askFound(c *backend.Conn) (int64, error) {
	_, rows, err := c.Select(context.Background(), "SELECT FOUND_ROWS()") // c is armed with the statement's context
	if err != nil {
		return -1, err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return -1, sqlerr.New(sqlerr.UnknownError, "Serval: the server did not say how many rows it found")
	}
	n, err := strconv.ParseInt(string(rows[0][0]), 10, 64)
	if err != nil {
		return -1, sqlerr.New(sqlerr.UnknownError, "Serval: %q is no number of rows", rows[0][0])
	}
	return n, nil
}

// askInsertID asks the connection that ran a statement for its LAST_INSERT_ID().
func askInsertID(c *backend.Conn) (uint64, error) {
	_, rows, err := c.Select(context.Background(), "SELECT LAST_INSERT_ID()") // as above
	if err != nil || len(rows) != 1 || len(rows[0]) != 1 {
		return 0, err
	}
	return strconv.ParseUint(string(rows[0][0]), 10, 64)
}
