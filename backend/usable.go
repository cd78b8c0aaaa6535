package backend

import (
	"context"

	"github.com/servaldb/serval/topology"
)

// Usable reports whether the connection can take another command from the
// session that owns it: it is not broken and no answer is left unread. A
// session asks after a failed statement, where it keeps the connection because
// a transaction or a lock lives on it.
func (c *Conn) Usable() bool {
	return c.broken == nil && c.outstanding == 0 && c.queued == 0 && c.phase == idle
}

// Keep notes what its owner leaves on the connection for the next one, nil for
// nothing. Only for connections that all have owners of one kind (Want.Apart).
func (c *Conn) Keep(what any) { c.kept = what }

// Kept is what Keep noted last.
func (c *Conn) Kept() any { return c.kept }

// attachBranches keeps prepared branches on their connection, except in Group
// Replication, where the manual advises against it.
const attachBranches = "SET SESSION xa_detach_on_prepare = (SELECT COUNT(*) > 0 FROM performance_schema.replication_group_members WHERE MEMBER_STATE <> 'OFFLINE')"

// AttachBranches makes XA branches that are prepared here from now on stay with
// the connection until they end or it does, as they always do on MariaDB. MySQL
// commits such a branch with two syncs instead of three, the third of which no
// two branches share (seen on 9.7), and only there they may use temporary
// tables. Asked once a connection; best effort, since it takes
// SESSION_VARIABLES_ADMIN: a branch that is detached is as safe.
func (c *Conn) AttachBranches(ctx context.Context) {
	if c.attached || c.flavor != topology.FlavorMySQL || !c.Usable() {
		return
	}
	c.attached = true
	changed := c.changed
	_, _ = c.Exec(ctx, attachBranches)
	c.changed = changed // it is the connection's, not a session's
}
