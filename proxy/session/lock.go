package session

import (
	"context"

	"github.com/servaldb/serval/internal/wire"
)

// unlock answers UNLOCK TABLES on every cluster where LOCK TABLES made the
// session keep a connection, which then is shared again unless something else
// lives on it.
func (s *Session) unlock(ctx context.Context, tokens []token) (bool, error) {
	if len(tokens) != 2 || !tokens[1].is("TABLES") && !tokens[1].is("TABLE") {
		return false, nil
	}
	for cluster, p := range s.pinned {
		if !p.has(pinLockTables) {
			continue
		}
		if _, err := p.conn.Exec(ctx, "UNLOCK TABLES"); err != nil {
			s.losePin(cluster)
			return true, err
		}
		if p.why = without(p.why, pinLockTables); len(p.why) == 0 {
			delete(s.pinned, cluster)
			p.conn.Release(nil)
		}
	}
	s.publishPins()
	s.ok(wire.OK{})
	return true, nil
}
