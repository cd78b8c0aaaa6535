package executor

import (
	"strconv"
	"strings"
)

// addGTIDs adds what a server reported to what its cluster has already. The
// two kinds of server are told apart by their spelling: only MySQL's
// (uuid:number) has a colon.
func addGTIDs(all map[string]string, cluster, gtids string) map[string]string {
	if gtids == "" {
		return all
	}
	if all == nil {
		all = make(map[string]string, 1)
	}
	have, ok := all[cluster]
	switch {
	case !ok:
		all[cluster] = gtids
	case !strings.Contains(gtids, ":"):
		all[cluster] = joinDomains(have, gtids)
	case have != gtids:
		all[cluster] = have + "," + gtids
	}
	return all
}

// joinDomains joins MariaDB GTIDs (domain-server-sequence): a position has one
// of each domain, the one with the largest sequence.
func joinDomains(a, b string) string {
	all := strings.Split(a, ",")
next:
	for _, g := range strings.Split(b, ",") {
		domain, sequence := splitGTID(g)
		for i := range all {
			if d, s := splitGTID(all[i]); d == domain {
				if sequence > s {
					all[i] = g
				}
				continue next
			}
		}
		all = append(all, g)
	}
	return strings.Join(all, ",")
}

func splitGTID(g string) (domain string, sequence uint64) {
	domain, _, _ = strings.Cut(g, "-")
	sequence, _ = strconv.ParseUint(g[strings.LastIndexByte(g, '-')+1:], 10, 64)
	return domain, sequence
}
