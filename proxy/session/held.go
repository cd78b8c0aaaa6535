package session

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/router/plan"
)

// Statements are held while Servals change over to other rules (catalog.Hold),
// and whoever moves tables must know when none is under way by the old ones.
// A session first shows itself busy (begin), then looks for a hold; the other
// side first holds, then looks who is busy. So none slips through.

// heldFor bounds the wait of a statement for the rules to be known again.
const heldFor = 10 * time.Second

// awaitRules waits while everything is held.
func (s *Session) awaitRules(ctx context.Context) error {
	for {
		h := s.deps.Catalog.Held()
		if h == nil || h.Writes {
			return nil
		}
		if err := s.await(ctx, h); err != nil {
			return err
		}
	}
}

// awaitAll waits while anything is held.
func (s *Session) awaitAll(ctx context.Context) error {
	for {
		h := s.deps.Catalog.Held()
		if h == nil {
			return nil
		}
		if err := s.await(ctx, h); err != nil {
			return err
		}
	}
}

// heldBack waits where a hold of writes is not for e to pass. waited: the plan
// may be by rules that are not in effect any more, so it is to be made again.
func (s *Session) heldBack(ctx context.Context, e *planned) (waited bool, err error) {
	h := s.deps.Catalog.Held()
	if h == nil || h.Writes && (s.tx.Participants() > 0 || s.locksTables() || s.readsAlone(e)) {
		return false, nil
	}
	return true, s.await(ctx, h)
}

// readsAlone: it reads, and no transaction is open or begins with it.
func (s *Session) readsAlone(e *planned) bool {
	return e.plan.ReadOnly && s.autocommit && s.tx.State() == txn.Idle && s.next == (txn.Options{})
}

func (s *Session) await(ctx context.Context, h *catalog.Hold) error {
	s.setWaiting(true)
	defer s.setWaiting(false)
	timer := time.NewTimer(heldFor)
	defer timer.Stop()
	select {
	case <-h.Over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return sqlerr.New(sqlerr.OfflineMode, "Serval holds statements: %s; try again, or another Serval", h.Why)
	}
}

func (s *Session) setWaiting(waiting bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.waiting = waiting
}

// Unsettled describes the sessions that keep tables from being moved under a
// hold: while writes are held those that have a transaction open or change
// something, and where everything is, also those that read one of the tables.
func (r *Registry) Unsettled(tables []plan.TableName, everything bool) []Info {
	var out []Info
	for _, s := range r.all() {
		if !s.settled(tables, everything) {
			out = append(out, s.info())
		}
	}
	slices.SortFunc(out, func(a, b Info) int { return int(int64(a.ID) - int64(b.ID)) })
	return out
}

func (s *Session) settled(tables []plan.TableName, everything bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, why := range s.mu.pins {
		if slices.Contains(why, pinLockTables) {
			return false
		}
	}
	switch reading := s.reading.Load(); {
	case len(s.mu.clusters) > 0: // as it was when the session rested last
		return false
	case s.mu.cancel == nil, s.mu.waiting:
		return true
	case reading == nil: // it writes, or is not known yet
		return false
	default:
		return !everything || !reading.touches(tables, s.mu.db)
	}
}

// touches: it reads one of the tables, or what is not known.
func (e *planned) touches(tables []plan.TableName, db string) bool {
	if e.views != nil {
		return true
	}
	for _, t := range e.tables {
		schema := t.Schema
		if schema == "" {
			schema = db
		}
		if slices.ContainsFunc(tables, func(m plan.TableName) bool {
			return strings.EqualFold(m.Schema, schema) && strings.EqualFold(m.Table, t.Table)
		}) {
			return true
		}
	}
	return false
}
