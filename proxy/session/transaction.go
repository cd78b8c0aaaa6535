package session

import (
	"context"
	"slices"
	"strings"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/topology"
)

const (
	errCantChangeTx = 1568 // ER_CANT_CHANGE_TX_CHARACTERISTICS
	errReadOnlyTx   = 1792 // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
)

// beginStatement answers BEGIN [WORK] and START TRANSACTION …. A transaction
// that is open is committed first, as on MySQL.
func (s *Session) beginStatement(ctx context.Context, tokens []token) (bool, error) {
	opts, ok, err := beginOptions(tokens)
	if !ok || err != nil {
		return false, err
	}
	if err := s.commit(ctx); err != nil {
		return true, err
	}
	if err := s.freeLocks(ctx); err != nil {
		return true, err
	}
	if opts.Access == "" {
		opts.Access = s.next.Access
	}
	opts.Isolation = s.next.Isolation
	s.next = txn.Options{}
	if opts.Snapshot { // the servers' transactions begin now
		if err := s.awaitAll(ctx); err != nil {
			return true, err
		}
	}
	if err := s.open(opts); err != nil {
		return true, err
	}
	if opts.Snapshot {
		if err := s.joinAll(ctx); err != nil {
			_ = s.tx.Rollback(ctx)
			return true, err
		}
	}
	s.ok(wire.OK{})
	return true, nil
}

// beginOptions reads BEGIN and START TRANSACTION; ok is false for another
// statement (BEGIN NOT ATOMIC, START REPLICA).
func beginOptions(tokens []token) (opts txn.Options, ok bool, err error) {
	if tokens[0].is("BEGIN") {
		ok = len(tokens) == 1 || len(tokens) == 2 && tokens[1].is("WORK")
		return opts, ok, nil
	}
	if len(tokens) < 2 || !tokens[1].is("TRANSACTION") {
		return opts, false, nil
	}
	for rest := tokens[2:]; len(rest) > 0; {
		var part []token
		part, rest = cutAtComma(rest)
		switch words(part) {
		case "READ ONLY", "READ WRITE":
			if opts.Access != "" && opts.Access != words(part) {
				return opts, false, sqlerr.New(sqlerr.Parse, "You have an error in your SQL syntax: both READ ONLY and READ WRITE")
			}
			opts.Access = words(part)
		case "WITH CONSISTENT SNAPSHOT":
			opts.Snapshot = true
		default:
			return opts, false, sqlerr.New(sqlerr.Parse, "You have an error in your SQL syntax near '%s'", words(part))
		}
	}
	return opts, true, nil
}

func words(tokens []token) string {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		out[i] = strings.ToUpper(t.Text)
	}
	return strings.Join(out, " ")
}

// joinAll takes the consistent snapshot on every cluster now: taken later it
// would show what was written after START TRANSACTION.
func (s *Session) joinAll(ctx context.Context) error {
	s.lease.prepare(false)
	var names []string
	for name := range s.deps.Catalog.Load().Clusters {
		names = append(names, name)
	}
	slices.Sort(names)
	if s.options.transaction == transactionSingle {
		names = names[:0] // the one cluster is not known yet
	}
	for _, name := range names {
		if err := s.takePart(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// takePart makes a cluster take part in the open transaction.
func (s *Session) takePart(ctx context.Context, cluster string) error {
	conns, err := s.lease.Acquire(ctx, cluster, topology.TargetPrimary, 1)
	if err == nil {
		s.lease.Release(conns[0], nil)
	}
	return err
}

// commit ends an open transaction well and keeps its GTIDs.
func (s *Session) commit(ctx context.Context) error {
	if s.tx.State() == txn.Idle {
		return nil
	}
	marks, err := s.tx.Commit(ctx)
	s.committed(marks)
	return err
}

// committed remembers what later reads must see of a transaction.
func (s *Session) committed(marks map[string]txn.Mark) {
	for cluster, m := range marks {
		if m.GTIDs != "" {
			s.gtids[cluster] = topology.JoinGTIDs(s.gtids[cluster], m.GTIDs)
		}
		if m == (txn.Mark{GTIDs: m.GTIDs}) {
			continue
		}
		if s.proofs == nil {
			s.proofs = map[string]*backend.Proof{}
		}
		switch was := s.proofs[cluster]; {
		case m.Unknown:
			s.proofs[cluster] = &backend.Proof{} // the primary only
		case was == nil || was.Shown != nil:
			s.proofs[cluster] = &backend.Proof{Shown: func(rows [][][]byte) bool { return txn.Shown(m.Branch, rows) }}
		}
	}
}

// wrote remembers what later reads must see.
func (s *Session) wrote(gtids map[string]string) {
	for cluster, g := range gtids {
		if g != "" {
			s.gtids[cluster] = topology.JoinGTIDs(s.gtids[cluster], g)
		}
	}
}

// endStatement answers COMMIT and ROLLBACK, with [WORK] [AND [NO] CHAIN]
// [[NO] RELEASE], and ROLLBACK TO.
func (s *Session) endStatement(ctx context.Context, tokens []token) (bool, error) {
	isCommit := tokens[0].is("COMMIT")
	rest := tokens[1:]
	if len(rest) > 0 && rest[0].is("WORK") {
		rest = rest[1:]
	}
	if !isCommit && len(rest) > 0 && rest[0].is("TO") {
		return s.rollbackTo(ctx, rest[1:])
	}
	chain, release := false, false
	switch w := words(rest); w {
	case "", "AND NO CHAIN", "NO RELEASE", "AND NO CHAIN NO RELEASE":
	case "AND CHAIN", "AND CHAIN NO RELEASE":
		chain = true
	case "RELEASE", "AND NO CHAIN RELEASE":
		release = true
	default:
		return true, sqlerr.New(sqlerr.Parse, "You have an error in your SQL syntax near '%s'", w)
	}
	opts := s.tx.Options()
	var err error
	if isCommit {
		err = s.commit(ctx)
	} else {
		err = s.tx.Rollback(ctx)
	}
	if err != nil {
		return true, err
	}
	if chain { // also where there was none to end
		if err := s.open(opts); err != nil {
			return true, err
		}
	}
	s.doomed = s.doomed || release
	s.ok(wire.OK{})
	return true, nil
}

func (s *Session) rollbackTo(ctx context.Context, rest []token) (bool, error) {
	if len(rest) > 0 && rest[0].is("SAVEPOINT") {
		rest = rest[1:]
	}
	return s.savepointDone(ctx, rest, s.tx.RollbackTo)
}

// savepointStatement answers SAVEPOINT x.
func (s *Session) savepointStatement(ctx context.Context, tokens []token) (bool, error) {
	return s.savepointDone(ctx, tokens[1:], func(ctx context.Context, name string) error {
		if err := s.implicitBegin(); err != nil {
			return err
		}
		return s.tx.Savepoint(ctx, name)
	})
}

// releaseStatement answers RELEASE SAVEPOINT x.
func (s *Session) releaseStatement(ctx context.Context, tokens []token) (bool, error) {
	if len(tokens) < 2 || !tokens[1].is("SAVEPOINT") {
		return false, nil
	}
	return s.savepointDone(ctx, tokens[2:], s.tx.ReleaseSavepoint)
}

func (s *Session) savepointDone(ctx context.Context, name []token, do func(context.Context, string) error) (bool, error) {
	if len(name) != 1 || name[0].Kind != tokenWord && name[0].Kind != tokenName {
		return true, sqlerr.New(sqlerr.Parse, "You have an error in your SQL syntax: a savepoint's name is expected")
	}
	if err := do(ctx, sqlval.QuoteName(name[0].name())); err != nil {
		if over, _, _ := s.tx.Settle(ctx, err); over {
			s.log.Debug("transaction lost", "err", err)
		}
		return true, err
	}
	s.ok(wire.OK{})
	return true, nil
}

// implicitBegin opens a transaction before a statement with autocommit off.
func (s *Session) implicitBegin() error {
	if s.autocommit || s.tx.State() == txn.Open {
		return nil
	}
	opts := s.next
	s.next = txn.Options{}
	return s.open(opts)
}

// open begins a transaction that ends over several clusters as the session has
// it now.
func (s *Session) open(opts txn.Options) error {
	opts.Atomic = s.options.transaction == transactionAtomic
	opts.Locked = s.locksTables()
	return s.tx.Begin(opts)
}

// setTransaction is SET TRANSACTION … for the next transaction.
func (s *Session) setTransaction(a assignment) error {
	isolation, access, ok := a.characteristics()
	if !ok {
		return syntaxError(a.SQL)
	}
	if s.tx.State() == txn.Open {
		e := sqlerr.New(errCantChangeTx, "Transaction characteristics can't be changed while a transaction is in progress")
		e.State = "25001"
		return e
	}
	if isolation != "" {
		s.next.Isolation = isolation
	}
	if access != "" {
		s.next.Access = access
	}
	return nil
}

// setAutocommit changes the mode; turning it on commits.
func (s *Session) setAutocommit(ctx context.Context, on bool) error {
	if on && !s.autocommit {
		if err := s.commit(ctx); err != nil {
			return err
		}
	}
	s.autocommit = on
	return nil
}
