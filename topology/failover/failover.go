// Package failover decides from observations which server of a cluster is its
// primary. It is a pure machine: no clock, no I/O; package health feeds it.
//
// It never promotes anybody. Somebody else does (a DBA, Orchestrator, Group
// Replication), and it follows, with one rule above all: Serval never writes
// to two servers, so where it is not sure it writes to none and says why.
//
// A cluster with `primary:` has that server or none. A configured primary that
// is read_only is no primary: it would refuse the write, or, for an account
// that may ignore read_only, take one that a failover tool wants stopped. One
// that replicates from a writable server of its own cluster is none either:
// somebody has promoted the other.
//
// A cluster with `servers:` has as its primary the one that takes writes and
// does not replicate.
package failover

import (
	"fmt"
	"slices"
	"strings"

	"github.com/servaldb/serval/topology"
)

// GroupRole is an instance's place in Group Replication.
type GroupRole uint8

const (
	// NoGroup: it is not an online member of a group.
	NoGroup GroupRole = iota
	// GroupPrimary takes writes for the group.
	GroupPrimary
	// GroupSecondary follows.
	GroupSecondary
)

// Observation is what one probe of one instance saw.
type Observation struct {
	Addr string
	// Reachable: it answered. The fields below are only set then, except Why.
	Reachable bool
	// ID is what replicas call it: server_uuid (MySQL), server_id (MariaDB).
	ID       string
	ReadOnly bool
	// Replicating: a replication channel is running, or trying to. Source is
	// the source's ID or address.
	Replicating bool
	Source      string
	Group       GroupRole
	// Executed is its GTID set.
	Executed string
	// Signaled: a statement has just failed to reach it, so one failed probe
	// is enough.
	Signaled bool
	// Why it is not reachable.
	Why string
}

// Config is what does not change from step to step.
type Config struct {
	Cluster topology.Cluster
	// Failures in a row make an instance down; 0 means 2.
	Failures int
}

// Instance is what the machine remembers of an instance.
type Instance struct {
	// Last is its last observation that was Reachable; Why the last failure.
	Last Observation
	Why  string
	// Seen: at least one observation came. Up: it counts as reachable.
	Seen, Up bool
	// Failures in a row.
	Failures int
	// Beside: it has taken writes while another one was the primary, and was
	// not seen read_only or replicating since.
	Beside bool
}

// State is the machine's memory. The zero State knows nothing.
type State struct {
	// Primary is where writes go, empty for nowhere; Why says why nowhere.
	Primary, Why string
	// Known is the last primary there was, while nothing else took its place.
	Known     string
	Instances map[string]Instance
}

// Kind is the kind of an Action.
type Kind uint8

const (
	// SetPrimary: writes go to Addr from now on.
	SetPrimary Kind = iota
	// NoPrimary: writes go nowhere from now on, for the reason Why; said again
	// when the reason changes.
	NoPrimary
	// MarkUp and MarkDown: the instance Addr counts as reachable, or not.
	MarkUp
	// MarkDown: see MarkUp.
	MarkDown
)

// String names the kind as the text cases do.
func (k Kind) String() string {
	switch k {
	case SetPrimary:
		return "primary"
	case NoPrimary:
		return "no primary"
	case MarkUp:
		return "up"
	case MarkDown:
		return "down"
	}
	return "invalid"
}

// Action is a change that Step decided.
type Action struct {
	Kind      Kind
	Addr, Why string
}

// Step takes observations in and gives the next state and what changed. It
// changes neither argument.
func Step(cfg Config, s State, observed ...Observation) (State, []Action) {
	next := State{Primary: s.Primary, Why: s.Why, Known: s.Known, Instances: make(map[string]Instance, len(cfg.Cluster.Instances))}
	for _, in := range cfg.Cluster.Instances { // forgets what is no longer configured
		next.Instances[in.Addr] = s.Instances[in.Addr]
	}
	var actions []Action
	for _, o := range observed {
		if was, ok := next.Instances[o.Addr]; ok {
			now := was.observe(o, cfg.Failures)
			next.Instances[o.Addr] = now
			actions = append(actions, reachability(o.Addr, was, now)...)
		}
	}
	m := machine{cfg: cfg, state: &next}
	primary, why := m.decide()
	if primary != "" {
		next.Known = primary
		m.noteBeside()
	}
	switch {
	case primary != s.Primary && primary != "":
		actions = append(actions, Action{Kind: SetPrimary, Addr: primary})
	case primary == "" && (s.Primary != "" || why != s.Why):
		actions = append(actions, Action{Kind: NoPrimary, Addr: s.Primary, Why: why})
	}
	next.Primary, next.Why = primary, why
	return next, actions
}

const defaultFailures = 2

func (in Instance) observe(o Observation, failures int) Instance {
	if failures <= 0 {
		failures = defaultFailures
	}
	if o.Reachable {
		return Instance{Last: o, Seen: true, Up: true, Beside: in.Beside && !o.ReadOnly && !o.Replicating}
	}
	in.Failures++
	in.Why = o.Why
	if !in.Seen || o.Signaled || in.Failures >= failures {
		in.Up = false
	}
	in.Seen = true
	return in
}

func reachability(addr string, was, now Instance) []Action {
	switch {
	case now.Up && !was.Up:
		return []Action{{Kind: MarkUp, Addr: addr}}
	case !now.Up && (was.Up || !was.Seen):
		return []Action{{Kind: MarkDown, Addr: addr, Why: now.Why}}
	}
	return nil
}

// Role is an instance's role in the state.
func (s State) Role(addr string) topology.Role {
	in := s.Instances[addr]
	switch {
	case !in.Up:
		return topology.RoleUnknown
	case addr == s.Primary:
		return topology.RolePrimary
	case in.Last.Replicating || in.Last.Group == GroupSecondary:
		return topology.RoleReplica
	}
	return topology.RoleUnknown
}

type machine struct {
	cfg   Config
	state *State
}

func (m machine) decide() (primary, why string) {
	if m.cfg.Cluster.Primary != "" {
		return m.fixed(m.cfg.Cluster.Primary)
	}
	return m.found()
}

// fixed decides for a configured primary.
func (m machine) fixed(addr string) (primary, why string) {
	in := m.state.Instances[addr]
	if !m.writable(addr) {
		return "", fmt.Sprintf("the configured primary %s", m.ailment(addr))
	}
	for _, other := range m.addrs() {
		if other != addr && m.writable(other) && m.follows(in.Last, other) && !m.follows(m.state.Instances[other].Last, addr) {
			return "", fmt.Sprintf("the configured primary %s replicates from %s, which takes writes: "+
				"change primary: to it, or list both under servers: to follow promotions", addr, other)
		}
	}
	return addr, ""
}

// found decides where the primary is to be found.
func (m machine) found() (primary, why string) {
	var able, stale, names []string
	for _, addr := range m.addrs() {
		if !m.state.Instances[addr].Seen {
			// Deciding before everybody was asked could pick the wrong one of two.
			return "", "not all servers have been asked yet"
		}
		switch {
		case !m.able(addr):
		case m.stale(addr):
			stale = append(stale, addr)
		default:
			able = append(able, addr)
		}
		names = append(names, m.ailment(addr))
	}
	if len(able) == 0 && len(stale) > 0 {
		return "", fmt.Sprintf("%s takes writes, but lacks transactions of the last primary %s, and nothing replicates from it: "+
			"bring %s back, or let it or another one replicate from the server that is to be the primary",
			strings.Join(stale, " and "), m.state.Known, m.state.Known)
	}
	if len(able) == 1 && able[0] != m.state.Known {
		stale = nil // a promotion that can be told from what was left behind
	}
	able = append(able, stale...)
	switch len(able) {
	case 0:
		return "", "no server takes writes: " + strings.Join(names, ", ")
	case 1:
		return able[0], ""
	}
	if m.oneGroup(able) {
		if slices.Contains(able, m.state.Known) {
			return m.state.Known, ""
		}
		return able[0], ""
	}
	known := m.state.Known
	if slices.Contains(able, known) && m.outranks(known, able) {
		return known, ""
	}
	return "", fmt.Sprintf("%s take writes at the same time: set read_only=ON on all but the right one", strings.Join(able, " and "))
}

// able: it takes writes as a primary does.
func (m machine) able(addr string) bool {
	in := m.state.Instances[addr]
	return m.writable(addr) && (!in.Last.Replicating || in.Last.Group == GroupPrimary)
}

// stale reports a server that takes writes but is no successor of the last
// primary: it lacks some of its transactions though that one still answers, or
// though it had been taking writes beside it all along (a primary of long ago
// that came back). Where others replicate from it somebody has chosen it.
func (m machine) stale(addr string) bool {
	in, known := m.state.Instances[addr], m.state.Instances[m.state.Known]
	if m.state.Known == "" || addr == m.state.Known || in.Last.Group == GroupPrimary {
		return false
	}
	if topology.HasGTIDs(in.Last.Executed, known.Last.Executed) || m.sourceOfOthers(addr) {
		return false
	}
	return in.Beside || known.Up
}

// noteBeside marks the servers that take writes beside the primary.
func (m machine) noteBeside() {
	for addr, in := range m.state.Instances {
		if addr != m.state.Known && m.able(addr) {
			in.Beside = true
			m.state.Instances[addr] = in
		}
	}
}

// oneGroup: all are primaries of Group Replication, which keeps their writes
// from contradicting each other.
func (m machine) oneGroup(addrs []string) bool {
	return !slices.ContainsFunc(addrs, func(a string) bool { return m.state.Instances[a].Last.Group != GroupPrimary })
}

// outranks: the known primary stays, though others take writes, if it has
// replicas and they have none, or if it has every transaction they have.
func (m machine) outranks(known string, able []string) bool {
	mine := m.state.Instances[known].Last.Executed
	ahead := mine != ""
	for _, other := range able {
		if other == known {
			continue
		}
		if m.sourceOfOthers(other) {
			return false
		}
		ahead = ahead && topology.HasGTIDs(mine, m.state.Instances[other].Last.Executed)
	}
	return ahead || m.sourceOfOthers(known)
}

func (m machine) sourceOfOthers(addr string) bool {
	return slices.ContainsFunc(m.addrs(), func(other string) bool {
		in := m.state.Instances[other]
		return other != addr && in.Up && m.follows(in.Last, addr)
	})
}

// follows reports whether an instance replicates from addr.
func (m machine) follows(o Observation, addr string) bool {
	if !o.Replicating || o.Source == "" {
		return false
	}
	return o.Source == addr || o.Source == m.state.Instances[addr].Last.ID
}

func (m machine) writable(addr string) bool {
	in := m.state.Instances[addr]
	return in.Up && !in.Last.ReadOnly && in.Last.Group != GroupSecondary
}

// ailment says why an instance can't be the primary.
func (m machine) ailment(addr string) string {
	in := m.state.Instances[addr]
	switch {
	case !in.Seen:
		return addr + " has not been asked yet"
	case !in.Up && in.Why != "":
		return addr + " is down (" + in.Why + ")"
	case !in.Up:
		return addr + " is down"
	case in.Last.ReadOnly:
		return addr + " is read_only"
	case in.Last.Replicating:
		return addr + " replicates from " + in.Last.Source
	}
	return addr + " takes writes"
}

func (m machine) addrs() []string {
	out := make([]string, len(m.cfg.Cluster.Instances))
	for i, in := range m.cfg.Cluster.Instances {
		out[i] = in.Addr
	}
	return out
}
