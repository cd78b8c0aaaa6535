package txn

import (
	"strconv"
	"strings"
)

// Mark is what a transaction left on a cluster that a later read of its session
// must see.
type Mark struct {
	// GTIDs are those the server reported.
	GTIDs string
	// Branch is the transaction's name where it committed as an XA branch: see
	// Shown for when GTIDs do not say everything.
	Branch string
	// Unknown: something was committed there, or may have been, by a connection
	// whose answer is lost or not ours. Only the primary surely has it.
	Unknown bool
}

func noteMark(marks *map[string]Mark, cluster string, m Mark) {
	if m == (Mark{}) {
		return
	}
	if *marks == nil {
		*marks = map[string]Mark{}
	}
	m.Unknown = m.Unknown || (*marks)[cluster].Unknown
	(*marks)[cluster] = m
}

// Shown reads a replica's XA RECOVER: it shows all branches that this Serval
// committed up to the transaction of that name, of those whose GTID it has. A
// MariaDB replica with slave_parallel_threads counts XA COMMIT as executed, and
// what follows it, before readers see what it committed (seen on 10.11 with 2
// threads in all modes, never without); it lists the branch until they do.
func Shown(branch string, recover [][][]byte) bool {
	name, number := numberOf(branch)
	for _, row := range recover {
		b, ok := branchOf("", row)
		if !ok {
			continue
		}
		if other, n := numberOf(b.GTRID); other == name && n <= number {
			return false
		}
	}
	return true
}

// numberOf splits a transaction's name: numbers grow in one Serval.
func numberOf(gtrid string) (instance string, number uint64) {
	i := strings.LastIndexByte(gtrid, ':')
	number, _ = strconv.ParseUint(gtrid[i+1:], 36, 64)
	return gtrid[:i+1], number
}
