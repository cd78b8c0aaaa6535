package reshard

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

// handler gets the events of one connection, one after the other.
type handler struct {
	s   *stream
	ctx context.Context
	err error // why the stream ended, where it was a handler's decision
}

var _ replication.EventHandler = (*handler)(nil)

// mostWords of a statement are looked at: the tables of a definition stand at its
// beginning.
const mostWords = 400

// images keeps the undecoded images of an event of a table that is followed.
func (h *handler) images(e *replication.RowsEvent, data []byte) error {
	pos, err := e.DecodeHeader(data)
	if err != nil {
		return err
	}
	if h.s.followed(string(e.Table.Schema), string(e.Table.Table)) != nil {
		h.s.rows[e] = data[pos:]
	}
	return nil
}

// HandleEvent implements replication.EventHandler.
func (h *handler) HandleEvent(e *replication.BinlogEvent) error {
	if err := h.handle(e); err != nil {
		h.err = err
		return err
	}
	return h.ctx.Err()
}

func (h *handler) handle(e *replication.BinlogEvent) error {
	s := h.s
	switch ev := e.Event.(type) {
	case *replication.GTIDEvent, *replication.GtidTaggedLogEvent:
		s.tx = transaction{gtid: e.Event}
	case *replication.MariadbGTIDEvent:
		const standalone, preparedXA = 1, 64 // FL_STANDALONE, FL_PREPARED_XA
		s.tx = transaction{gtid: e.Event, open: ev.Flags&standalone == 0, xa: ev.Flags&preparedXA != 0}
	case *replication.QueryEvent:
		return h.statement(ev)
	case *replication.ExecuteLoadQueryEvent:
		return stopError{fmt.Errorf("a LOAD DATA is in the binlog as a statement, not as rows (binlog_format has to be ROW)")}
	case *replication.RowsEvent:
		return h.rowsEvent(ev, e.Header.EventType)
	case *replication.XIDEvent:
		return s.complete(e.Header)
	case *replication.TransactionPayloadEvent:
		for _, inner := range ev.Events {
			inner.Header.Timestamp = e.Header.Timestamp
			if err := h.handle(inner); err != nil {
				return err
			}
		}
	case *replication.GenericEvent:
		switch e.Header.EventType {
		case replication.XA_PREPARE_LOG_EVENT:
			return h.prepare(ev.Data, e.Header)
		case replication.INCIDENT_EVENT:
			return stopError{fmt.Errorf("the binlog says that changes are missing in it (an incident event)")}
		default:
		}
	}
	return nil
}

// statement handles a query event.
func (h *handler) statement(e *replication.QueryEvent) error {
	s := h.s
	w := words(string(e.Query), mostWords)
	if len(w) == 0 {
		return nil
	}
	effect := effectOf(w)
	switch effect {
	case beginsTransaction:
		s.tx.open, s.tx.xa = true, s.tx.xa || strings.EqualFold(w[0], "XA")
		return nil
	case inTransaction:
		return nil
	case endsTransaction:
		return s.complete(nil)
	case commitsXA, rollsBackXA:
		if err := s.endXA(xidOf(w), effect == commitsXA); err != nil {
			return err
		}
		return s.complete(nil)
	case harmless, defines, writes:
	}
	for _, t := range s.tables {
		if why := forbids(w, effect, string(e.Schema), t.source.shard.Database, t.source.shard.Table); why != "" {
			return stopError{fmt.Errorf("the table %s cannot be moved any further: %s. Cancel the job and start it again", t.source, why)}
		}
	}
	if s.tx.open {
		return nil // its end is still to come
	}
	return s.complete(nil)
}

// xidOf is the transaction's name in XA COMMIT X'67',X'62',1 as the servers write it.
func xidOf(w []string) string {
	var parts []string
	for i := 2; i < len(w); i++ {
		if !strings.EqualFold(w[i], "X") {
			parts = append(parts, strings.ToLower(w[i]))
		}
	}
	return strings.Join(parts, ",")
}

// prepare handles XA_PREPARE_LOG_EVENT: one byte that says ONE PHASE, the format,
// the two lengths, the name.
func (h *handler) prepare(data []byte, header *replication.EventHeader) error {
	const fixed = 13
	if len(data) < fixed {
		return stopError{fmt.Errorf("an XA PREPARE of the binlog is cut off")}
	}
	format := int32(binary.LittleEndian.Uint32(data[1:]))
	global, branch := int(binary.LittleEndian.Uint32(data[5:])), int(binary.LittleEndian.Uint32(data[9:]))
	name := data[fixed:]
	if global < 0 || branch < 0 || global+branch > len(name) {
		return stopError{fmt.Errorf("an XA PREPARE of the binlog is cut off")}
	}
	xid := hex.EncodeToString(name[:global]) + "," + hex.EncodeToString(name[global:global+branch]) + "," + strconv.Itoa(int(format))
	h.s.park(xid)
	if data[0] != 0 { // XA COMMIT … ONE PHASE
		if err := h.s.endXA(xid, true); err != nil {
			return err
		}
	}
	return h.s.complete(header)
}

// rowsEvent collects an event's keys.
func (h *handler) rowsEvent(e *replication.RowsEvent, tp replication.EventType) error {
	s := h.s
	data, ok := s.rows[e]
	if !ok {
		return nil
	}
	delete(s.rows, e)
	t := s.followed(string(e.Table.Schema), string(e.Table.Table))
	if t == nil {
		return nil
	}
	switch tp {
	case replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1, replication.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1, replication.MARIADB_DELETE_ROWS_COMPRESSED_EVENT_V1:
		var err error
		if data, err = mysql.DecompressMariadbData(data); err != nil {
			return stopError{fmt.Errorf("a change of %s: %w", t.source, err)}
		}
	default:
	}
	err := t.images.fits(e.Table)
	if err == nil {
		err = t.images.keys(e, data, func(key string) error { return s.changed(h.ctx, dirtyKey{t.source, key}) })
	}
	if err != nil && h.ctx.Err() == nil {
		return stopError{fmt.Errorf("a change of %s: %w", t.source, err)}
	}
	return err
}

// followed is the table of that name, nil for one that is not moved.
func (s *stream) followed(database, table string) *followed {
	for _, t := range s.tables {
		shard := &t.source.shard
		if shard.Table == table && shard.Database == database ||
			s.foldNames && strings.EqualFold(shard.Table, table) && strings.EqualFold(shard.Database, database) {
			return t
		}
	}
	return nil
}

// changed adds a key; it waits while there are too many.
func (s *stream) changed(ctx context.Context, k dirtyKey) error {
	s.mu.Lock()
	switch {
	case s.tx.xa && len(s.again) > 0:
		// It may be the one that is read a second time; and if not it will be, too.
		s.tx.tooMany = true
	case s.tx.xa && s.tx.tooMany:
		s.mu.Unlock()
		return nil
	case s.tx.xa:
		defer s.mu.Unlock()
		if s.tx.keys == nil {
			s.tx.keys = map[dirtyKey]struct{}{}
		}
		s.tx.keys[k] = struct{}{}
		if len(s.tx.keys)+s.mu.parkedKeys > s.m.cfg.MaxDirty {
			s.tx.keys, s.tx.tooMany = nil, true
		}
		return nil
	}
	for len(s.mu.dirty) >= s.m.cfg.MaxDirty {
		room := s.mu.room
		s.mu.Unlock()
		s.m.signal()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.mu.Lock()
	}
	s.mu.dirty[k] = struct{}{}
	s.mu.Unlock()
	return nil
}

// complete ends the transaction being read.
func (s *stream) complete(header *replication.EventHeader) error {
	s.mu.Lock()
	if s.tx.gtid != nil {
		if err := s.mu.read.add(s.tx.gtid); err != nil {
			s.mu.Unlock()
			return stopError{err}
		}
	}
	if header != nil && header.Timestamp > 0 {
		s.mu.behind = max(0, time.Since(time.Unix(int64(header.Timestamp), 0)))
	}
	s.mu.Unlock()
	s.tx = transaction{}
	s.m.signal()
	return nil
}

// park keeps the keys of the transaction that has been prepared; its rows are not
// visible before it is committed.
func (s *stream) park(xid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.again[xid] || len(s.tx.keys) == 0 && !s.tx.tooMany {
		return // its keys are dirty already, or there are none
	}
	s.forgetLocked(xid) // it may be read a second time
	s.mu.parkedKeys += len(s.tx.keys)
	s.mu.parkings++
	s.mu.parked[xid] = &parked{keys: s.tx.keys, tooMany: s.tx.tooMany, before: s.mu.read.String(), order: s.mu.parkings}
}

// endXA settles or forgets what was parked. One that is not known changed no table
// that is followed, or ended before the copy began.
func (s *stream) endXA(xid string, commit bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.again, xid)
	p := s.mu.parked[xid]
	if p == nil {
		return nil
	}
	if commit && p.tooMany {
		// Its keys are read again, from before it; nothing behind that position has
		// been written down.
		set, err := parseGTIDs(s.flavor, p.before)
		if err != nil {
			return stopError{err}
		}
		s.again[xid] = true
		s.mu.read = set
		s.forgetLocked(xid)
		return errMoved
	}
	s.forgetLocked(xid)
	if commit {
		for k := range p.keys {
			s.mu.dirty[k] = struct{}{}
		}
	}
	return nil
}

func (s *stream) forgetLocked(xid string) {
	if p := s.mu.parked[xid]; p != nil {
		s.mu.parkedKeys -= len(p.keys)
		delete(s.mu.parked, xid)
	}
}
