package session

import (
	"context"
	"slices"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/router/plan"
)

// pin is a server connection that a session keeps because state lives on it
// that cannot be carried to another: a temporary table, a lock. All statements
// of the cluster go there until the session ends or releases it.
type pin struct {
	conn *backend.Conn
	why  []string
}

// maxPinReasons bounds the list of reasons that is shown.
const maxPinReasons = 16

// keep pins the connection that a statement has just run on.
func (s *Session) keep(cluster string, c *backend.Conn, why string) {
	p := s.pinned[cluster]
	if p == nil {
		p = &pin{conn: c}
		s.pinned[cluster] = p
	}
	if !slices.Contains(p.why, why) && len(p.why) < maxPinReasons {
		p.why = append(p.why, why)
	}
	s.log.Debug("connection pinned", "cluster", cluster, "why", why)
	s.publishPins()
}

// losePin: the pinned connection is gone and with it the state that lived on
// it. The session cannot pretend otherwise and ends after this answer, which
// is what a client of MySQL sees when its connection goes.
func (s *Session) losePin(cluster string) {
	p := s.pinned[cluster]
	delete(s.pinned, cluster)
	p.conn.Discard()
	s.doomed = true
	s.publishPins()
}

// unpinAll forgets all pins; give takes each connection.
func (s *Session) unpinAll(give func(*backend.Conn)) {
	for cluster, p := range s.pinned {
		delete(s.pinned, cluster)
		give(p.conn)
	}
	s.publishPins()
}

func (s *Session) publishPins() {
	pins := make(map[string][]string, len(s.pinned))
	for cluster, p := range s.pinned {
		pins[cluster] = slices.Clone(p.why)
	}
	s.mu.Lock()
	s.mu.pins = pins
	s.mu.Unlock()
}

// pinLockTables is why a connection with LOCK TABLES is kept.
const pinLockTables = "LOCK TABLES"

// freeNamedLocks frees them before the connections that hold them are closed: a server
// does so some time after that, and whoever is told that this session begins anew may
// ask for one at once.
func (s *Session) freeNamedLocks(ctx context.Context) {
	for _, p := range s.pinned {
		if p.has(plan.PinNamedLock) {
			_, _ = p.conn.Exec(ctx, "DO RELEASE_ALL_LOCKS()") // closing it frees them, too
		}
	}
}

func (p *pin) has(why string) bool { return slices.Contains(p.why, why) }

func without(list []string, drop string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == drop })
}
