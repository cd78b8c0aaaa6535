package txn

import (
	"context"
	"fmt"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
)

// Rollback ends the transaction without effect on every participant. A part
// whose connection is lost is rolled back by its server.
func (t *Tx[C]) Rollback(ctx context.Context) error {
	if t.state == Idle {
		return nil
	}
	t.rollbackAll(ctx)
	return nil
}

// rollbackAll never fails: a participant that does not answer is handed back
// as broken, which closes it, and a closed connection rolls back.
func (t *Tx[C]) rollbackAll(ctx context.Context) {
	t.rollbackParts(ctx)
	t.finish()
}

// rollbackParts tells every participant at once and then reads all answers. A
// server that answers ROLLBACK with ERR is in a state we do not understand:
// that connection is broken.
func (t *Tx[C]) rollbackParts(ctx context.Context) {
	sent := make([]int, len(t.parts))
	for i := range t.parts {
		if t.parts[i].broken {
			continue
		}
		defer t.parts[i].conn.Arm(ctx)()
		statements := t.parts[i].rollback()
		if t.queue(i, statements...) == nil {
			sent[i] = len(statements)
		}
	}
	for i, n := range sent {
		if n > 0 {
			t.readRollback(i, n)
		}
	}
}

// readRollback reads the answers to a participant's rollback; the last decides:
// XA END fails where the server has rolled the branch back by itself.
func (t *Tx[C]) readRollback(i, n int) {
	p := &t.parts[i]
	_, _ = t.answers(i, n-1)
	if p.broken {
		return
	}
	if _, err := t.answers(i, 1); err != nil {
		p.broken = true
		return
	}
	p.prepared = false
}

// rollback is what rolls the participant back in its present state.
func (p *participant[C]) rollback() []string {
	switch {
	case p.branch == "":
		return []string{"ROLLBACK"}
	case p.prepared:
		return []string{"XA ROLLBACK " + p.branch}
	}
	return []string{"XA END " + p.branch, "XA ROLLBACK " + p.branch}
}

// Commit commits the participants in the order they joined and hands the
// connections back; the transaction is Idle afterwards whatever happens. It
// returns what later reads must see, by cluster.
//
// The first participant is the one that decides: where it fails, the others
// are rolled back and nothing happened. A failure after it is reported with
// the names of the clusters that did commit; the others are committed all the
// same, because the application asked for it and the first has.
func (t *Tx[C]) Commit(ctx context.Context) (marks map[string]Mark, err error) {
	if t.state == Idle {
		return nil, nil
	}
	if t.anyBroken() {
		broken := t.firstBroken()
		t.rollbackAll(ctx)
		return nil, lost(broken, nil)
	}
	defer t.finish()
	if t.gtrid != "" {
		return t.commitAtomic(ctx)
	}
	var r report
	for i := range t.parts {
		p := &t.parts[i]
		if i > 0 && r.firstFailed() {
			r.add(p.cluster, rolledBack, nil)
			t.rollbackOne(ctx, i)
			continue
		}
		end, cause := t.commitOne(ctx, i, &marks)
		noteMark(&marks, p.cluster, Mark{Unknown: end == unknown})
		r.add(p.cluster, end, cause)
	}
	return marks, r.err()
}

// end is how one participant ended.
type end uint8

const (
	committed end = iota
	// failed: the server said so; its part is rolled back.
	failed
	// unknown: the connection was lost between sending COMMIT and its answer.
	unknown
	rolledBack
)

// commitOne sends COMMIT. From the moment it is flushed its outcome is the
// server's: a lost answer is unknown, never "rolled back".
func (t *Tx[C]) commitOne(ctx context.Context, i int, marks *map[string]Mark) (end, error) {
	p := &t.parts[i]
	defer p.conn.Arm(ctx)()
	statements := p.commit()
	for _, s := range statements {
		p.conn.Query([]byte(s))
	}
	if err := p.conn.Flush(); err != nil {
		p.broken = true
		if sqlerr.SafeToRetry(err) { // COMMIT was not sent
			return failed, err
		}
		return unknown, err
	}
	h, err := p.conn.Header()
	for range statements[1:] {
		if Broken(err) {
			break
		}
		var next error
		if h, next = p.conn.Header(); err == nil || Broken(next) {
			err = next
		}
	}
	switch {
	case err == nil:
		noteMark(marks, p.cluster, Mark{GTIDs: h.OK.Tracked.GTIDs})
		return committed, nil
	case Broken(err):
		p.broken = true
		return unknown, err
	}
	// A COMMIT answered with ERR leaves InnoDB rolled back; make sure before
	// the connection is used again.
	t.rollbackOne(ctx, i)
	return failed, err
}

func (t *Tx[C]) rollbackOne(ctx context.Context, i int) {
	defer t.parts[i].conn.Arm(ctx)()
	statements := t.parts[i].rollback()
	if t.queue(i, statements...) == nil {
		t.readRollback(i, len(statements))
	}
}

func (t *Tx[C]) firstBroken() string {
	for i := range t.parts {
		if t.parts[i].broken {
			return t.parts[i].cluster
		}
	}
	return ""
}

// report gathers how the participants ended.
type report struct {
	clusters []string
	ends     []end
	cause    error // of the first that is not committed
}

func (r *report) add(cluster string, e end, cause error) {
	r.clusters, r.ends = append(r.clusters, cluster), append(r.ends, e)
	if cause != nil && r.cause == nil {
		r.cause = cause
	}
}

func (r *report) firstFailed() bool { return len(r.ends) > 0 && r.ends[0] != committed }

// err is what the client is told, nil if all committed. The server's own error
// goes through where nothing was committed anywhere, since then it means what
// it says on a single server.
func (r *report) err() error {
	if r.cause == nil {
		return nil
	}
	if r.ends[0] == failed {
		return r.cause
	}
	if len(r.ends) == 1 {
		return sqlerr.New(sqlerr.ServerLost, "Lost connection to cluster %s during COMMIT: "+
			"whether the transaction was committed is not known", r.clusters[0]).WithCause(r.cause)
	}
	var parts []string
	for _, s := range []struct {
		end  end
		word string
	}{{committed, "committed on"}, {failed, "failed on"}, {unknown, "not known on"}, {rolledBack, "rolled back on"}} {
		if names := r.named(s.end); names != "" {
			parts = append(parts, s.word+" "+names)
		}
	}
	return sqlerr.New(sqlerr.ErrorDuringCommit, "Serval: the transaction was not committed everywhere: %s; the first error was: %s",
		strings.Join(parts, ", "), plainMessage(r.cause)).WithCause(r.cause)
}

func (r *report) named(e end) string {
	var names []string
	for i := range r.ends {
		if r.ends[i] == e {
			names = append(names, r.clusters[i])
		}
	}
	return strings.Join(names, ", ")
}

func plainMessage(err error) string {
	e := sqlerr.From(err)
	return fmt.Sprintf("%s (%d)", e.Message, e.Code)
}
