package topology

import "time"

// Need is what a read asks of a replica.
type Need struct {
	// GTID is what the replica must have executed, empty for nothing.
	GTID string
	// Zone is preferred where a replica stands in it.
	Zone string
	// MaxLag leaves out replicas that are further behind, or whose lag is not
	// known; 0 leaves out none.
	MaxLag time.Duration
	// Executed gives an instance's GTID set where something newer than the
	// view is known, else ""; may be nil.
	Executed func(addr string) string
	// Skip leaves an instance out (it has just failed); may be nil.
	Skip func(addr string) bool
}

// ChooseReplica picks the replica that is to answer: up, not behind, by zone,
// then by weight with the random number. current means that it is known to
// have Need.GTID: one that has is always preferred, and where none has, the
// caller waits on the one given. addr is empty where no replica may answer:
// then the primary does.
func ChooseReplica(c *ClusterView, need Need, random uint64) (addr string, current bool) {
	if c == nil {
		return "", false
	}
	// A rank per instance: 0 out, else 1, +1 in the zone, +2 has the GTIDs.
	ranks := make([]uint8, 0, 16)
	best, total := uint8(0), uint64(0)
	for i := range c.Instances {
		in := &c.Instances[i]
		rank := need.rank(c, in)
		ranks = append(ranks, rank)
		switch {
		case rank > best:
			best, total = rank, uint64(in.Weight)
		case rank == best && rank > 0:
			total += uint64(in.Weight)
		}
	}
	if best == 0 {
		return "", false
	}
	at := random % total
	for i, rank := range ranks {
		if rank != best {
			continue
		}
		weight := uint64(c.Instances[i].Weight)
		if at < weight {
			return c.Instances[i].Addr, best > 2
		}
		at -= weight
	}
	return "", false
}

func (need *Need) rank(c *ClusterView, in *InstanceView) uint8 {
	switch {
	case !in.Up, in.Role != RoleReplica, in.Weight <= 0, in.Addr == c.Primary,
		need.MaxLag > 0 && (!in.LagKnown || in.Lag > need.MaxLag),
		need.Skip != nil && need.Skip(in.Addr):
		return 0
	}
	rank := uint8(1)
	if need.Zone != "" && in.Zone == need.Zone {
		rank++
	}
	if HasGTIDs(in.Executed, need.GTID) ||
		need.Executed != nil && HasGTIDs(need.Executed(in.Addr), need.GTID) {
		rank += 2
	}
	return rank
}
