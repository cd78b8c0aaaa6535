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
		// Refused, and the connection ends as MySQL ends it after a failed
		// change: nobody may go on under an identity that is in doubt.
		s.fail(sqlerr.Refuse("COM_CHANGE_USER", "a session's user is fixed at login", "open a new connection"))
		return true, nil
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

// resetConnection takes the session back to what it was after login: its
// transaction is rolled back, its state, statements and pins are gone, the
// database stays.
func (s *Session) resetConnection(ctx context.Context) {
	ctx = s.begin(ctx, "Reset connection", nil)
	defer s.end()
	_ = s.tx.Rollback(ctx)
	s.unpinAll(func(c *backend.Conn) { c.Discard() })
	db := s.settings.db
	s.settings, s.options, s.autocommit = newSettings(), newOptions(s.deps.Consistency), true
	s.next, s.lastInsertID, s.rowCount, s.foundRows = noOptions, 0, -1, 0
	s.stmts.init(s.deps.Limits)
	s.named = nil
	s.diag.reset()
	if err := s.startCollation(); err != nil {
		s.fail(err)
		return
	}
	s.settings.use(db)
	s.ok(wire.OK{})
}
