package health

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/topology"
	"github.com/servaldb/serval/topology/failover"
)

// server probes one server over a connection of its own, opened anew after a
// failure. It is a Prober.
type server struct {
	addr string
	cfg  backend.Config
	conn *backend.Conn
}

// NewProber makes the Prober of a real server.
func NewProber(addr string, cfg backend.Config) Prober {
	cfg.OnLost = nil // a failing probe must not signal itself
	return &server{addr: addr, cfg: cfg}
}

// Close ends its connection.
func (s *server) Close() {
	if s.conn != nil {
		s.conn.Discard()
		s.conn = nil
	}
}

// Probe asks the server; a connection that went stale in between is replaced
// once, so that a restart does not count as a failure.
func (s *server) Probe(ctx context.Context) (Measurement, error) {
	reused := s.conn != nil
	m, err := s.probe(ctx)
	if err != nil {
		s.Close()
		if reused && ctx.Err() == nil {
			if m, err = s.probe(ctx); err != nil {
				s.Close()
			}
		}
	}
	return m, err
}

func (s *server) probe(ctx context.Context) (m Measurement, err error) {
	if s.conn == nil {
		if s.conn, err = backend.Dial(ctx, s.addr, s.cfg, false); err != nil {
			return m, err
		}
	}
	m.Flavor, m.Version = s.conn.Flavor(), s.conn.Version()
	query := "SELECT @@global.read_only, @@global.super_read_only, @@global.server_uuid, @@global.gtid_executed"
	if m.Flavor == topology.FlavorMariaDB {
		query = "SELECT @@global.read_only, 0, @@global.server_id, @@global.gtid_current_pos"
	}
	_, rows, err := s.conn.Select(ctx, query)
	if err != nil {
		return m, err
	}
	if len(rows) != 1 || len(rows[0]) != 4 {
		return m, fmt.Errorf("%s answered a probe with %d rows", s.addr, len(rows))
	}
	m.ReadOnly = isOn(rows[0][0]) || isOn(rows[0][1])
	m.ID = string(rows[0][2])
	m.Executed = strings.ReplaceAll(string(rows[0][3]), "\n", "")
	if err := s.replication(ctx, &m); err != nil {
		return m, err
	}
	if m.Flavor == topology.FlavorMySQL {
		s.group(ctx, &m)
	}
	return m, nil
}

func isOn(v []byte) bool { return string(v) != "0" && !strings.EqualFold(string(v), "off") }

// replication reads SHOW REPLICA STATUS. A refusal (no REPLICATION CLIENT or
// REPLICA MONITOR privilege) is not a failed probe: the lag stays unknown, and
// a server that is read_only passes for a replica.
func (s *server) replication(ctx context.Context, m *Measurement) error {
	columns, rows, err := s.conn.Select(ctx, statusQuery(m.Flavor, m.Version))
	if err != nil {
		if e := sqlerr.From(err); e.Code == sqlerr.ServerLost || e.Code == sqlerr.QueryTimeout || e.Code == sqlerr.QueryInterrupted {
			return err
		}
		m.Why = "lag unknown: " + sqlerr.From(err).Message
		m.Replicating = m.ReadOnly
		return nil
	}
	for _, row := range rows {
		readChannel(m, channel{columns, row})
	}
	return nil
}

func statusQuery(f topology.Flavor, version string) string {
	if f == topology.FlavorMariaDB {
		return "SHOW ALL SLAVES STATUS"
	}
	major, rest, _ := strings.Cut(version, ".")
	minor, patch, _ := strings.Cut(rest, ".")
	n, _ := strconv.Atoi(major)
	p, _ := strconv.Atoi(patch[:digits(patch)])
	if n < 8 || n == 8 && minor == "0" && p < 22 {
		return "SHOW SLAVE STATUS"
	}
	return "SHOW REPLICA STATUS"
}

func digits(s string) int {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return i
}

// channel is one row of the replica status, by the names of old and new.
type channel struct {
	columns []wire.Column
	row     [][]byte
}

func (c channel) get(names ...string) (value string, null bool) {
	for i := range c.columns {
		for _, n := range names {
			if string(c.columns[i].Name) == n {
				return string(c.row[i]), c.row[i] == nil
			}
		}
	}
	return "", true
}

// readChannel adds one channel: several count as the slowest of them.
func readChannel(m *Measurement, c channel) {
	io, _ := c.get("Replica_IO_Running", "Slave_IO_Running")
	sql, _ := c.get("Replica_SQL_Running", "Slave_SQL_Running")
	if strings.EqualFold(io, "no") && strings.EqualFold(sql, "no") {
		m.Why = "replication is stopped"
		if text := lastError(c); text != "" {
			m.Why += ": " + text
		}
		return
	}
	first := !m.Replicating
	m.Replicating = true
	m.Source = source(c)
	lag, null := c.get("Seconds_Behind_Source", "Seconds_Behind_Master")
	seconds, err := strconv.Atoi(lag)
	if null || err != nil {
		m.LagKnown = false
		m.SourceLost = strings.EqualFold(io, "connecting") && strings.EqualFold(sql, "yes")
		m.Why = fmt.Sprintf("lag unknown: replication I/O %s, SQL %s", io, sql)
		if text := lastError(c); text != "" {
			m.Why += ": " + text
		}
		return
	}
	if first || m.LagKnown {
		m.LagKnown = true
		m.Lag = max(m.Lag, time.Duration(seconds)*time.Second)
	}
}

func lastError(c channel) string {
	if text, _ := c.get("Last_SQL_Error"); text != "" {
		return text
	}
	text, _ := c.get("Last_IO_Error")
	return text
}

// source is what the source calls itself, else where it is.
func source(c channel) string {
	id, _ := c.get("Source_UUID", "Master_UUID", "Master_Server_Id")
	if id != "" && id != "0" {
		return id
	}
	host, _ := c.get("Source_Host", "Master_Host")
	port, _ := c.get("Source_Port", "Master_Port")
	return net.JoinHostPort(host, port)
}

const groupQuery = "SELECT m.MEMBER_ROLE, s.COUNT_TRANSACTIONS_REMOTE_IN_APPLIER_QUEUE" +
	" FROM performance_schema.replication_group_members m JOIN performance_schema.replication_group_member_stats s USING (MEMBER_ID)" +
	" WHERE m.MEMBER_ID = @@server_uuid AND m.MEMBER_STATE = 'ONLINE'"

// group asks for the place in Group Replication. Servers without it, or
// without the right to ask, have none.
func (s *server) group(ctx context.Context, m *Measurement) {
	_, rows, err := s.conn.Select(ctx, groupQuery)
	if err != nil || len(rows) != 1 {
		return
	}
	if string(rows[0][0]) == "PRIMARY" {
		m.Group = failover.GroupPrimary
		return
	}
	m.Group = failover.GroupSecondary
	// The group does not say how old its queue is; only an empty one is known.
	m.LagKnown = string(rows[0][1]) == "0"
	m.Lag = 0
	if !m.LagKnown {
		m.Why = "lag unknown: " + string(rows[0][1]) + " transactions wait in the group's queue"
	}
}
