package session

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// local answers the statements that are the session's own. handled is false
// for those that turn out to be someone else's.
func (s *Session) local(ctx context.Context, verb string, text []byte) (handled bool, err error) {
	switch verb {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE":
		return false, nil
	case "SET":
		if s.skipped(text) {
			s.ok(wire.OK{})
			return true, nil
		}
		s.diag.reset()
		return s.setStatement(ctx, string(text))
	case "USE":
		return s.useStatement(ctx, string(text))
	case "":
		if len(bytes.Trim(text, " \t\r\n\v\f;")) > 0 {
			s.ok(wire.OK{}) // servers are content with a comment
			return true, nil
		}
		const errEmptyQuery = 1065
		e := sqlerr.New(errEmptyQuery, "Query was empty")
		e.State = "42000"
		return true, e
	case "XA":
		return true, sqlerr.Refuse("XA", "a branch would belong to one server connection, and statements go to several servers", "use a plain transaction")
	case "HANDLER":
		return true, sqlerr.Refuse("HANDLER", "it belongs to one server connection", "use SELECT")
	}
	tokens := trimSemicolon(scan(string(text), s.settings.mode))
	if len(tokens) == 0 {
		return false, nil
	}
	if s.skipped(text) {
		s.ok(wire.OK{})
		return true, nil
	}
	if verb != "SHOW" && verb != "EXPLAIN" && !s.onMariaDB() {
		s.diag.reset()
	}
	if rewritten, ok := s.rewritten(tokens, string(text)); ok {
		return true, s.within(ctx, rewritten)
	}
	switch verb {
	case "PREPARE", "EXECUTE", "DEALLOCATE", "DROP":
		return s.preparedStatement(ctx, tokens, string(text))
	case "BEGIN", "START":
		return s.beginStatement(ctx, tokens)
	case "COMMIT", "ROLLBACK":
		return s.endStatement(ctx, tokens)
	case "SAVEPOINT":
		return s.savepointStatement(ctx, tokens)
	case "RELEASE":
		return s.releaseStatement(ctx, tokens)
	case "KILL":
		return s.killStatementText(tokens)
	case "SHOW":
		return s.showStatement(ctx, string(text), tokens)
	case "EXPLAIN", "DESCRIBE", "DESC":
		return s.explainRoute(ctx, text, tokens)
	case "LOAD":
		return s.loadStatement(ctx, string(text), tokens)
	case "LOCK":
		return s.lockStatement(ctx, tokens)
	case "UNLOCK":
		return s.unlock(ctx, tokens)
	}
	return false, nil
}

// killStatementText answers KILL [HARD|SOFT] [CONNECTION|QUERY] id.
func (s *Session) killStatementText(tokens []token) (bool, error) {
	rest := tokens[1:]
	if len(rest) > 1 && (rest[0].is("HARD") || rest[0].is("SOFT")) {
		rest = rest[1:]
	}
	connection := true
	if len(rest) > 1 {
		switch {
		case rest[0].is("QUERY"):
			connection = false
		case !rest[0].is("CONNECTION"):
			return true, sqlerr.Refuse("this form of KILL", "Serval kills its own sessions by id", "use KILL [QUERY] id")
		}
		rest = rest[1:]
	}
	if len(rest) != 1 {
		return true, syntaxError(words(tokens))
	}
	id, err := strconv.ParseUint(rest[0].name(), 10, 64)
	if err != nil {
		return true, sqlerr.Refuse("KILL of "+rest[0].Text, "the id must be a number", "see SHOW PROCESSLIST")
	}
	return true, s.kill(id, connection)
}

func (s *Session) kill(id uint64, connection bool) error {
	if err := s.deps.Registry.Kill(id, connection, s.c.User.Name); err != nil {
		return err
	}
	if connection && id == uint64(s.c.ID) {
		s.doomed = true
		return sqlerr.New(sqlerr.QueryInterrupted, "Query execution was interrupted")
	}
	s.ok(wire.OK{})
	return nil
}

// showStatement answers the SHOW statements that are about the session or
// about Serval itself.
func (s *Session) showStatement(ctx context.Context, text string, tokens []token) (bool, error) {
	rest := tokens[1:]
	switch {
	case len(rest) > 0 && rest[0].is("VARIABLES"):
		return s.showVariables(ctx, text, tokens, 1)
	case len(rest) > 1 && rest[1].is("VARIABLES") && !rest[0].is("GLOBAL"):
		return s.showVariables(ctx, text, tokens, 2)
	case len(rest) > 0 && rest[0].is("GRANTS"):
		return s.showGrants(tokens)
	}
	full := len(rest) > 0 && rest[0].is("FULL")
	if full {
		rest = rest[1:]
	}
	if len(rest) == 1 && rest[0].is("PROCESSLIST") {
		s.processList(full)
		return true, nil
	}
	return s.showDiagnostics(tokens)
}

// shortStatement is how much of a statement SHOW PROCESSLIST shows without FULL.
const shortStatement = 100

// processList lists this Serval's sessions with MySQL's columns. A user sees
// the own ones.
func (s *Session) processList(full bool) {
	s.publish()
	columns := []column{
		{name: "Id", number: true}, {name: "User"}, {name: "Host"}, {name: "db"}, {name: "Command"}, {name: "Time", number: true}, {name: "State"}, {name: "Info"},
	}
	var rows [][][]byte
	for _, i := range s.deps.Registry.List() {
		if i.User != s.c.User.Name {
			continue
		}
		row := [][]byte{digits(int64(i.ID)), []byte(i.User), []byte(i.Remote), nil, []byte(i.Command),
			digits(int64(time.Since(i.Since) / time.Second)), []byte(""), nil}
		if i.DB != "" {
			row[3] = []byte(i.DB)
		}
		if i.Statement != "" {
			if !full && len(i.Statement) > shortStatement {
				i.Statement = strings.ToValidUTF8(i.Statement[:shortStatement], "")
			}
			row[6], row[7] = []byte("executing"), []byte(i.Statement)
		}
		rows = append(rows, row)
	}
	found := s.foundRows // which it leaves alone
	s.table(columns, rows)
	s.foundRows = found
}
