package backend

// Usable reports whether the connection can take another command from the
// session that owns it: it is not broken and no answer is left unread. A
// session asks after a failed statement, where it keeps the connection because
// a transaction or a lock lives on it.
func (c *Conn) Usable() bool {
	return c.broken == nil && c.outstanding == 0 && c.queued == 0 && c.phase == idle
}
