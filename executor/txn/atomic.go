package txn

import (
	"context"
	"errors"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
)

// Coordinator names atomic transactions and looks after what one cannot end
// itself. Safe for concurrent use.
type Coordinator interface {
	// Name is the gtrid of a new transaction, at most 64 bytes, never given
	// before by any Serval.
	Name() string
	// Decided looks up on a connection of its own whether the transaction was
	// committed on its first cluster. Where it was not, it never will be: an
	// abort is entered in the decision's place.
	Decided(ctx context.Context, first, gtrid string) (committed bool, err error)
	// Finish commits a prepared branch on a connection of its own.
	Finish(ctx context.Context, cluster, branch string) error
	// Ended says that the transaction is over here. Branches that are left
	// prepared are for recovery; where there are none its decision with the
	// first cluster, if it has one, is deleted after a while.
	Ended(first, gtrid string, decided bool, left []Branch)
	// Meter counts; nil: nobody does.
	Meter() Meter
}

// Meter counts what became of transactions over several clusters. Safe for
// concurrent use, and quick.
type Meter interface {
	// AtomicCommit: a COMMIT over two and more clusters that wrote was answered
	// so, after that long.
	AtomicCommit(outcome string, took time.Duration)
	// Recovered: recovery ended a branch that nobody else did.
	Recovered(committed bool)
	// Halved: a cluster has lost its part of so many committed transactions.
	Halved(transactions int)
}

// Outcomes of an atomic commit, as Meter gets them.
const (
	OutcomeCommitted  = "committed"
	OutcomeRolledBack = "rolled_back"
	OutcomeUnknown    = "unknown" // to the client; recovery finds out
)

const (
	// decisionTable has a row for each transaction over several clusters that
	// was decided, on the cluster that decided it.
	decisionTable = "serval_meta.decisions"

	errXANotFound = 1397 // ER_XAER_NOTA
	errDuplicate  = 1062 // ER_DUP_ENTRY
	errReadOnly   = 1792 // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
)

// decideTime bounds what must be done once the decision may have been made,
// though the client's own time may be up; behind it recovery goes on.
const decideTime = 10 * time.Second

// finishTime bounds the second try to commit a branch whose connection was
// lost, for which the client waits.
const finishTime = 2 * time.Second

// insertDecision enters the decision; a duplicate key says that recovery has
// decided otherwise.
func insertDecision(gtrid, decision string) string {
	return "INSERT INTO " + decisionTable + " (gtrid, decision) VALUES (" + quoted(gtrid) + ", '" + decision + "')"
}

// commit is what ends the participant well where no other has to follow it.
func (p *participant[C]) commit() []string {
	if p.branch == "" {
		return []string{"COMMIT"}
	}
	return []string{"XA END " + p.branch, "XA COMMIT " + p.branch + " ONE PHASE"}
}

// commitAtomic commits on all clusters or on none:
//
//  1. the branches are prepared, and the first cluster's local transaction
//     gets the decision's row;
//  2. that one commits. This is the decision;
//  3. the branches are committed.
//
// A crash before 2 leaves branches without a decision, which recovery rolls
// back; one behind it leaves branches with one, which recovery commits.
func (t *Tx[C]) commitAtomic(ctx context.Context) (marks map[string]Mark, err error) {
	if t.writers() < 2 || t.opts.Access == "READ ONLY" {
		return t.commitOnly(ctx)
	}
	outcome := OutcomeRolledBack
	if m := t.coordinator.Meter(); m != nil {
		began := time.Now()
		defer func() { m.AtomicCommit(outcome, time.Since(began)) }()
	}
	fault("begin-commit")
	err = t.prepare(ctx)
	fault("prepared")
	deciding, cancel := context.WithTimeout(context.WithoutCancel(ctx), decideTime)
	defer cancel()
	if err != nil {
		t.rollbackParts(deciding)
		if sqlerr.From(err).Code == errReadOnly {
			return nil, nil // it only took locks, and the session may not write
		}
		return nil, err
	}
	t.decided = true
	end, cause := t.commitOne(deciding, 0, &marks)
	fault("decided")
	if end == unknown {
		end, cause = t.lookUp(deciding, cause)
		noteMark(&marks, t.First(), Mark{Unknown: end != rolledBack})
	}
	switch end {
	case committed:
		outcome = OutcomeCommitted
		t.commitBranches(deciding, &marks)
		fault("committed")
		return marks, nil
	case unknown:
		outcome = OutcomeUnknown
		t.leaveAll()
		for i := range t.parts {
			noteMark(&marks, t.parts[i].cluster, Mark{Unknown: t.parts[i].wrote})
		}
		return marks, sqlerr.New(sqlerr.ServerLost, "Lost connection to cluster %s during COMMIT: whether the transaction was committed is not known yet; "+
			"all of it is or nothing, and Serval ends it so when the cluster answers again", t.First()).WithCause(cause)
	case failed, rolledBack:
	}
	t.decided = false
	t.rollbackParts(deciding)
	return nil, cause
}

func (t *Tx[C]) writers() (n int) {
	for i := range t.parts {
		if t.parts[i].wrote {
			n++
		}
	}
	return n
}

// commitOnly commits a transaction that wrote on one cluster at most: there is
// nothing to agree on. The others have nothing to lose.
func (t *Tx[C]) commitOnly(ctx context.Context) (marks map[string]Mark, err error) {
	if len(t.parts) == 0 {
		return nil, nil
	}
	writer := 0
	for i := range t.parts {
		if t.parts[i].wrote {
			writer = i
		}
	}
	end, cause := t.commitOne(ctx, writer, &marks)
	for i := range t.parts {
		if i != writer && !t.parts[i].broken {
			t.rollbackOne(ctx, i)
		}
	}
	switch end {
	case unknown:
		noteMark(&marks, t.parts[writer].cluster, Mark{Unknown: true})
		return marks, sqlerr.New(sqlerr.ServerLost, "Lost connection to cluster %s during COMMIT: "+
			"whether the transaction was committed is not known", t.parts[writer].cluster).WithCause(cause)
	case failed, rolledBack:
		return nil, cause
	case committed:
	}
	return marks, nil
}

// prepare makes every branch able to commit and enters the decision, all at
// once. Branches that only read end here: nobody waits for them.
func (t *Tx[C]) prepare(ctx context.Context) error {
	var first error
	sent := make([]bool, len(t.parts))
	for i := range t.parts {
		p := &t.parts[i]
		defer p.conn.Arm(ctx)()
		var err error
		switch {
		case i == 0:
			err = t.queue(i, insertDecision(t.gtrid, "commit"))
		case p.wrote:
			// From here on it may be prepared, whatever is heard of it.
			p.prepared = true
			err = t.queue(i, "XA END "+p.branch, "XA PREPARE "+p.branch)
		default:
			err = t.queue(i, p.rollback()...)
		}
		if sent[i] = err == nil; first == nil {
			first = err
		}
	}
	for i := range t.parts {
		if !sent[i] {
			continue
		}
		if err := t.readPrepared(i); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (t *Tx[C]) readPrepared(i int) error {
	p := &t.parts[i]
	if i == 0 {
		_, err := t.answers(0, 1)
		return decisionError(err)
	}
	if !p.wrote {
		t.readRollback(i, 2)
		return nil
	}
	_, err := t.answers(i, 2)
	if err != nil && !p.broken {
		p.prepared = false // the server has said that it is not
	}
	return err
}

// decisionError is the client's view of a decision that could not be entered.
func decisionError(err error) error {
	var e *sqlerr.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case errDuplicate:
		return sqlerr.New(sqlerr.ErrorDuringCommit, "Serval: the transaction waited too long for its COMMIT and was rolled back on all clusters").WithCause(err)
	case sqlerr.BadDB, sqlerr.NoSuchTable:
		return sqlerr.New(sqlerr.ErrorDuringCommit, "Serval: a transaction over several clusters needs the table %s, which Serval makes on every primary when it "+
			"starts and could not: give the backend account CREATE there, or use serval_transaction = 'single'", decisionTable).WithCause(err)
	}
	return err
}

// lookUp finds out what became of a COMMIT whose answer is lost.
func (t *Tx[C]) lookUp(ctx context.Context, cause error) (end, error) {
	ok, err := t.coordinator.Decided(ctx, t.parts[0].cluster, t.gtrid)
	switch {
	case err != nil:
		return unknown, errors.Join(cause, err)
	case ok:
		return committed, nil
	}
	return rolledBack, lost(t.parts[0].cluster, cause)
}

// commitBranches tells every prepared branch to commit. The decision stands,
// so what cannot be told is tried once more on another connection and then left
// to recovery.
func (t *Tx[C]) commitBranches(ctx context.Context, marks *map[string]Mark) {
	sent := make([]bool, len(t.parts))
	for i := range t.parts {
		p := &t.parts[i]
		if !p.prepared || p.broken {
			continue
		}
		defer p.conn.Arm(ctx)()
		sent[i] = t.queue(i, "XA COMMIT "+p.branch) == nil
	}
	for i := range t.parts {
		p := &t.parts[i]
		if sent[i] {
			h, err := t.answers(i, 1)
			switch {
			case err == nil:
				noteMark(marks, p.cluster, Mark{GTIDs: h.OK.Tracked.GTIDs, Branch: t.gtrid})
				p.prepared = false
			case !p.broken && sqlerr.From(err).Code == errXANotFound:
				p.prepared = false // recovery was faster
				noteMark(marks, p.cluster, Mark{Unknown: true})
			default:
				p.broken = true
			}
		}
		fault("branch-committed")
	}
	for i := range t.parts {
		if t.parts[i].prepared {
			noteMark(marks, t.parts[i].cluster, Mark{Unknown: true})
			t.finishElsewhere(ctx, &t.parts[i])
		}
	}
}

// finishElsewhere commits a branch whose connection is lost. The connection is
// given up first: a server may keep a branch to the connection it came by
// (MariaDB does).
func (t *Tx[C]) finishElsewhere(ctx context.Context, p *participant[C]) {
	ctx, cancel := context.WithTimeout(ctx, finishTime)
	defer cancel()
	t.release(p.cluster, p.conn, lost(p.cluster, nil))
	p.released = true
	if t.coordinator.Finish(ctx, p.cluster, p.branch) == nil {
		p.prepared = false
	}
}

// leaveAll gives all connections up, so that recovery can end the branches.
func (t *Tx[C]) leaveAll() {
	for i := range t.parts {
		t.parts[i].broken = true
	}
}

// leftPrepared are the branches that recovery has to end.
func (t *Tx[C]) leftPrepared() (out []Branch) {
	for i := range t.parts {
		if p := &t.parts[i]; p.prepared {
			out = append(out, Branch{Cluster: p.cluster, First: t.First(), GTRID: t.gtrid, XID: p.branch})
		}
	}
	return out
}
