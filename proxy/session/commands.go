package session

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// command runs one packet from the client. quit ends the session; an error is
// a packet that made no sense, after which the stream cannot go on.
func (s *Session) command(ctx context.Context, payload []byte) (quit bool, err error) {
	if len(payload) == 0 {
		return true, wire.ErrMalformed
	}
	body := payload[1:]
	switch payload[0] {
	case wire.ComQuit:
		return true, nil
	case wire.ComQuery:
		s.query(ctx, body)
	case wire.ComStmtExecute:
		return false, s.executeCommand(ctx, payload)
	case wire.ComStmtPrepare:
		s.prepareCommand(ctx, body)
	case wire.ComStmtSendLongData:
		return false, s.longDataCommand(payload)
	case wire.ComStmtReset:
		return false, s.resetCommand(payload)
	case wire.ComStmtClose:
		return false, s.closeCommand(payload)
	case wire.ComPing:
		s.ok(wire.OK{})
	case wire.ComInitDB:
		s.initDBCommand(ctx, body)
	case wire.ComFieldList:
		s.fieldList(ctx, body)
	case wire.ComStatistics:
		s.statistics()
	case wire.ComProcessKill:
		return false, s.processKill(body)
	case wire.ComSetOption:
		return false, s.setOption(body)
	case wire.ComResetConnection:
		s.resetConnection(ctx)
	case wire.ComChangeUser:
		return s.changeUser(ctx, body), nil
	default:
		s.fail(sqlerr.New(sqlerr.UnknownCommand, "Unknown command"))
	}
	return false, nil
}

func (s *Session) initDBCommand(ctx context.Context, body []byte) {
	ctx = s.begin(ctx, "Init DB", body)
	defer s.end()
	if err := s.initDB(ctx, string(body)); err != nil {
		s.fail(err)
	}
}

// statistics answers COM_STATISTICS: a line of text, not OK.
func (s *Session) statistics() {
	uptime := int64(0)
	if !s.deps.Started.IsZero() {
		uptime = int64(time.Since(s.deps.Started) / time.Second)
	}
	line := fmt.Sprintf("Uptime: %d  Threads: %d  Questions: %d", uptime, s.deps.Registry.Len(), s.statements.Load())
	_ = s.out.Packet([]byte(line))
}

func (s *Session) processKill(body []byte) error {
	if len(body) < 4 {
		return wire.ErrMalformed
	}
	if err := s.kill(uint64(binary.LittleEndian.Uint32(body)), true); err != nil {
		s.fail(err)
	}
	return nil
}

// setOption turns multi-statements on (0) or off (1). The answer is an EOF.
func (s *Session) setOption(body []byte) error {
	if len(body) < 2 {
		return wire.ErrMalformed
	}
	switch binary.LittleEndian.Uint16(body) {
	case 0:
		s.multi = true
	case 1:
		s.multi = false
	default:
		s.fail(sqlerr.New(sqlerr.UnknownCommand, "Unknown command"))
		return nil
	}
	s.eof(wire.OK{})
	return nil
}

// changeUser answers COM_CHANGE_USER: a login again, and the session as after
// one. quit: it failed, and nobody may go on under an identity that is in doubt;
// MySQL closes the connection, too.
func (s *Session) changeUser(ctx context.Context, body []byte) (quit bool) {
	ctx = s.begin(ctx, "Change user", nil)
	defer s.end()
	if s.c.ChangeUser == nil {
		s.fail(sqlerr.New(sqlerr.UnknownCommand, "Unknown command"))
		return true
	}
	who, err := s.c.ChangeUser(ctx, body)
	s.out.SetSeq(s.in.Seq())
	if err != nil {
		s.fail(err)
		return true
	}
	s.mu.Lock()
	s.c.User, s.c.Attributes = who.User, who.Attributes
	s.mu.Unlock()
	if who.Collation != 0 {
		s.c.Collation = who.Collation
	}
	s.log = s.deps.Log.With("session", s.c.ID, "user", s.c.User.Name, "remote", s.c.Remote)
	s.settings.use("")
	if err := s.startAgain(ctx); err != nil {
		s.fail(err)
		return true
	}
	if who.Schema != "" {
		if err := s.useSchema(ctx, who.Schema); err != nil {
			s.fail(err)
			return true
		}
	}
	s.ok(wire.OK{})
	return false
}

// resetConnection answers COM_RESET_CONNECTION.
func (s *Session) resetConnection(ctx context.Context) {
	ctx = s.begin(ctx, "Reset connection", nil)
	defer s.end()
	if err := s.startAgain(ctx); err != nil {
		s.fail(err)
		return
	}
	s.ok(wire.OK{})
}

// startAgain takes the session back to what it was after login: its
// transaction is rolled back, its state, statements and pins are gone, the
// database stays.
func (s *Session) startAgain(ctx context.Context) error {
	_ = s.tx.Rollback(ctx)
	s.freeNamedLocks(ctx)
	s.unpinAll(func(c *backend.Conn) { c.Discard() })
	db := s.settings.db
	s.settings, s.options, s.autocommit = newSettings(), newOptions(s.deps.Consistency), true
	s.next, s.lastInsertID, s.rowCount, s.foundRows = noOptions, 0, -1, 0
	s.unread = nil
	s.stmts.init(s.deps.Limits)
	s.named = nil
	s.diag.reset()
	if err := s.startCollation(); err != nil {
		return err
	}
	s.settings.use(db)
	return nil
}
