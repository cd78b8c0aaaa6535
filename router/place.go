package router

import (
	"strings"

	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// Where a query is finished: on any server, unless something in it is only on
// one. A stored function is at its schema's home, a named lock on the connection
// the session keeps at the home of its database.

// copiable: the query changes nothing but the session, and means the same over
// copies of its tables.
func (p *planning) copiable() bool {
	f := p.facts
	return !f.IntoFile && !f.Sequence && !f.SetsLastInsertID
}

// finishAt is the place of the query's stored functions and named locks, not ok
// where they are on different ones.
func (p *planning) finishAt() (at plan.FinishAt, ok bool) {
	take := func(schema string) bool {
		cluster := p.cat.HomeOf(schema)
		if schema == "" || at.Cluster != "" && at.Cluster != cluster {
			return false
		}
		if at.Cluster == "" {
			at.Cluster, at.Database = cluster, orName(p.db, schema)
		}
		return true
	}
	if p.facts.NamedLock {
		if !take(p.db) {
			return at, false
		}
		at.Own = true
	}
	for _, f := range p.facts.UnknownFuncs {
		schema, _, qualified := strings.Cut(f, ".")
		if !qualified {
			schema = p.db
		}
		if !take(schema) {
			return at, false
		}
		at.Inside = true
	}
	if at.Cluster != "" && p.cat.HomeOf(at.Database) != at.Cluster {
		return at, false // the database need not exist there
	}
	return at, true
}

// finishTarget: what a stored function does is not known, and a named lock is
// the primary's.
func (p *planning) finishTarget() topology.Target {
	if p.facts.NamedLock || p.unknownFunc() != "" || p.st.Hints.Target == "primary" {
		return topology.TargetPrimary
	}
	return topology.TargetReplica
}

// finishPlan is the plan of a query that is finished on one server.
func (p *planning) finishPlan(n *plan.Finish, why string) *plan.Plan {
	pl := &plan.Plan{Root: n, ReadOnly: !n.Locks, Why: why}
	if n.At.Cluster != "" {
		pl.NeedsDB = p.db != ""
		pl.ReadOnly = !n.At.Own && len(p.calls()) == 0
	}
	if n.At.Own {
		pl.Effects.Pins = plan.PinNamedLock
	}
	return pl
}

// finishOr finishes a query at once, which no rule may send to the shards.
func (p *planning) finishOr(refused error) (*plan.Plan, error) {
	if !p.mayFinish(refused) {
		return nil, refused
	}
	p.refused = refused
	return finishRest(p)
}
