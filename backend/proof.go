package backend

import (
	"context"
	"slices"

	"github.com/servaldb/serval/topology"
)

// Proof that a replica shows what a session committed as XA branches, which its
// GTIDs do not prove on MariaDB. The session owns it.
type Proof struct {
	// Shown decides by the replica's XA RECOVER; nil: nothing is proof, the
	// primary has to answer.
	Shown func(rows [][][]byte) bool

	given []string // addresses that need not be asked again
}

func (p *Proof) primaryOnly() bool { return p != nil && p.Shown == nil }

// by asks the server behind c.
func (p *Proof) by(ctx context.Context, c *Conn) bool {
	if p == nil || c.flavor != topology.FlavorMariaDB || slices.Contains(p.given, c.addr) {
		return true
	}
	_, rows, err := c.Select(ctx, "XA RECOVER")
	if err != nil || !p.Shown(rows) {
		return false
	}
	p.given = append(p.given, c.addr)
	return true
}
