package txn

import (
	"strconv"
	"strings"
)

// gtridPrefix tells Serval's branches from an application's own.
const gtridPrefix = "serval:"

// newBranch is the name of the branch the next participant is, empty where it
// takes part with a local transaction: the first always does, so that a
// transaction on one cluster costs what it costs without Serval. (A local
// transaction cannot become a branch later.)
func (t *Tx[C]) newBranch() string {
	if !t.opts.Atomic || len(t.parts) == 0 {
		return ""
	}
	if t.gtrid == "" {
		t.gtrid = t.coordinator.Name()
	}
	return xid(t.gtrid, len(t.parts), t.parts[0].cluster)
}

// xid is a branch's name as SQL. Its bqual says where the decision is to be
// looked up; the number keeps branches apart whose clusters are on one server.
func xid(gtrid string, number int, first string) string {
	return quoted(gtrid) + "," + quoted(bqual(number, first))
}

func bqual(number int, first string) string { return strconv.Itoa(number) + ":" + first }

// firstOf is the cluster that has the decision about a branch; ok is false for
// a branch that is none of Serval's.
func firstOf(gtrid, bqual string) (cluster string, ok bool) {
	number, cluster, ok := strings.Cut(bqual, ":")
	if _, err := strconv.Atoi(number); err != nil {
		return "", false
	}
	return cluster, ok && strings.HasPrefix(gtrid, gtridPrefix)
}

func quoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + "'"
}

// beginBranch is the statements that open an XA branch. There is no START
// TRANSACTION for one, so its options are set ahead, and a snapshot is taken by
// counting what is not there: only a SELECT takes one (DO and SET read
// what is committed, seen on both engines), and one INTO is answered by OK.
func (o Options) beginBranch(out []string, branch string) []string {
	if o.Access != "" {
		out = append(out, "SET TRANSACTION "+o.Access)
	}
	out = append(out, "XA START "+branch)
	if o.Snapshot {
		out = append(out, "SELECT COUNT(*) INTO @serval FROM "+decisionTable+" WHERE gtrid = ''")
	}
	return out
}
