package session

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
)

// errNoSuchThread is ER_NO_SUCH_THREAD, errKillDenied ER_KILL_DENIED_ERROR.
const (
	errNoSuchThread = 1094
	errKillDenied   = 1095
)

// Registry knows all sessions of this process: for KILL, SHOW PROCESSLIST,
// serval.sessions, metrics and drain. Safe for concurrent use.
type Registry struct {
	mu       sync.Mutex
	sessions map[uint32]*Session // guarded by mu
	draining bool                // guarded by mu
	empty    chan struct{}       // guarded by mu; closed when draining and no session is left
}

// NewRegistry makes an empty one.
func NewRegistry() *Registry {
	return &Registry{sessions: map[uint32]*Session{}, empty: make(chan struct{})}
}

// Info is one session at one moment.
type Info struct {
	ID           uint32
	User, Remote string
	// DB is the current database, empty for none.
	DB string
	// Command is what MySQL's process list calls it: Query, Execute, Sleep.
	Command string
	// Since is when the command, or the idleness, began.
	Since time.Time
	// Statement is the running statement's text, cut at 16 KB; empty when idle.
	Statement string
	// InTransaction: a transaction is open; TransactionClusters are its
	// participants.
	InTransaction       bool
	TransactionClusters []string
	// Pins say why connections cannot be shared, by cluster.
	Pins map[string][]string
	// Statements is how many the session has run.
	Statements uint64
}

// add enters a session; false when draining.
func (r *Registry) add(s *Session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.draining {
		return false
	}
	r.sessions[s.c.ID] = s
	return true
}

func (r *Registry) remove(id uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, id)
	if r.draining && len(r.sessions) == 0 {
		r.closeEmpty()
	}
}

// closeEmpty requires mu.
func (r *Registry) closeEmpty() {
	select {
	case <-r.empty:
	default:
		close(r.empty)
	}
}

// Len is how many sessions there are.
func (r *Registry) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sessions)
}

// List describes all sessions, by id.
func (r *Registry) List() []Info {
	all := r.all()
	out := make([]Info, len(all))
	for i, s := range all {
		out[i] = s.info()
	}
	slices.SortFunc(out, func(a, b Info) int { return int(int64(a.ID) - int64(b.ID)) })
	return out
}

func (r *Registry) all() []*Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*Session, 0, len(r.sessions))
	for _, s := range r.sessions {
		out = append(out, s)
	}
	return out
}

// Kill ends session id's statement, or with connection the session itself. by
// is the user who asks, empty for the administrator; users may end their own.
func (r *Registry) Kill(id uint64, connection bool, by string) error {
	r.mu.Lock()
	s := r.sessions[uint32(id)]
	r.mu.Unlock()
	switch {
	case s == nil || uint64(uint32(id)) != id:
		return sqlerr.New(errNoSuchThread, "Unknown thread id: %d", id)
	case by != "" && s.c.User.Name != by:
		return sqlerr.New(errKillDenied, "You are not owner of thread %d", id)
	case connection:
		s.killConnection()
	default:
		s.killStatement()
	}
	return nil
}

// Drain makes every session end as soon as it is outside a transaction, idle
// ones at once, and lets no new one in. It returns immediately; Wait waits.
func (r *Registry) Drain() {
	r.mu.Lock()
	r.draining = true
	if len(r.sessions) == 0 {
		r.closeEmpty()
	}
	r.mu.Unlock()
	for _, s := range r.all() {
		s.drain()
	}
}

// Wait waits for the last session to end after Drain. When ctx ends first it
// ends the sessions that are left, with their transactions rolled back, and
// returns ctx's error.
func (r *Registry) Wait(ctx context.Context) error {
	select {
	case <-r.empty:
		return nil
	case <-ctx.Done():
	}
	for _, s := range r.all() {
		s.killConnection()
	}
	return ctx.Err()
}
