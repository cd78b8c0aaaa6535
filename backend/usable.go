package backend

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
