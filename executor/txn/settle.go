package txn

import (
	"context"
	"errors"

	"github.com/servaldb/serval/internal/sqlerr"
)

const (
	errConnKilled  = 1927 // ER_CONNECTION_KILLED, MariaDB
	errNoSavepoint = 1305 // ER_SP_DOES_NOT_EXIST
)

// statusInTrans is SERVER_STATUS_IN_TRANS.
const statusInTrans = 1

// Fate is what a statement's end means for the transaction it ran in.
type Fate uint8

const (
	// Goes: the transaction goes on, also after an error of the statement.
	Goes Fate = iota
	// Ask: the server may have rolled back; its status flag tells.
	Ask
	// Gone: a server has rolled back its part, so every part must go.
	Gone
)

// Judge decides by the error alone.
func Judge(err error) Fate {
	if err == nil {
		return Goes
	}
	if Broken(err) {
		return Gone
	}
	switch {
	case sqlerr.From(err).Code == sqlerr.Deadlock:
		return Gone
	case sqlerr.MayEndTransaction(err):
		return Ask
	}
	return Goes
}

// Broken reports that err leaves the connection it came from unusable:
// everything but a server's own answer.
func Broken(err error) bool {
	if err == nil {
		return false
	}
	var e *sqlerr.Error
	if !errors.As(err, &e) {
		return true
	}
	switch e.Code {
	case sqlerr.ServerLost, sqlerr.CannotConnect, sqlerr.ServerShutdown, errConnKilled:
		return true
	}
	return false
}

// Settle is called after each statement of an open transaction with the
// statement's error. Where a server has ended its part, the whole ends: rolled
// back if the server rolled back, committed if the statement committed
// implicitly. It reports whether the transaction is over, and as Commit does
// what later reads must see.
func (t *Tx[C]) Settle(ctx context.Context, err error) (over bool, marks map[string]Mark, outcome error) {
	if t.state != Open {
		return false, nil, nil
	}
	if t.anyBroken() {
		t.rollbackAll(ctx)
		return true, nil, nil
	}
	if err == nil {
		return t.settleOK(ctx)
	}
	switch Judge(err) {
	case Gone:
		// The error may be of a connection that was never ours (a cluster
		// that could not be reached to join): then nothing is rolled back.
		if Broken(err) {
			return false, nil, nil
		}
		t.rollbackAll(ctx)
		return true, nil, nil
	case Ask:
		if t.stillOpen(ctx) {
			return false, nil, nil
		}
		t.rollbackAll(ctx)
		return true, nil, nil
	case Goes:
	}
	return false, nil, nil
}

// settleOK: a server that says it is in no transaction after a statement that
// went well has committed implicitly (a procedure with COMMIT inside, a DDL).
func (t *Tx[C]) settleOK(ctx context.Context) (bool, map[string]Mark, error) {
	if t.opts.Locked {
		return false, nil, nil // without BEGIN the status says nothing until a table is read
	}
	for i := range t.parts {
		if t.parts[i].conn.Status()&statusInTrans == 0 {
			marks, err := t.Commit(ctx)
			return true, marks, err
		}
	}
	return false, nil, nil
}

// stillOpen asks every participant for its status flag.
func (t *Tx[C]) stillOpen(ctx context.Context) bool {
	if err := t.everywhere(ctx, "DO 0"); err != nil {
		return false
	}
	for i := range t.parts {
		if t.parts[i].conn.Status()&statusInTrans == 0 {
			return false
		}
	}
	return true
}

func (t *Tx[C]) anyBroken() bool {
	for i := range t.parts {
		if t.parts[i].broken {
			return true
		}
	}
	return false
}
