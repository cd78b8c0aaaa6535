package session

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/sqlerr"
)

// errNoSuchThread is ER_NO_SUCH_THREAD, errKillDenied ER_KILL_DENIED_ERROR.
const (
	errNoSuchThread = 1094
	errKillDenied   = 1095
)

// Registry knows all sessions of this process: for KILL, SHOW PROCESSLIST,
// serval.sessions and metrics. Safe for concurrent use.
type Registry struct {
	mu       sync.Mutex
	sessions map[uint32]*Session // guarded by mu
}

// NewRegistry makes an empty one.
func NewRegistry() *Registry {
	return &Registry{sessions: map[uint32]*Session{}}
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

func (r *Registry) add(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[s.c.ID] = s
}

func (r *Registry) remove(id uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, id)
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

// Holders are the transactions on several clusters, see txn.Deadlocks.
func (r *Registry) Holders() (out []txn.Holder) {
	for _, s := range r.all() {
		s.mu.Lock()
		if len(s.mu.threads) > 1 {
			out = append(out, txn.Holder{Session: s.c.ID, Began: s.mu.began, Waits: s.mu.cancel != nil, Threads: maps.Clone(s.mu.threads)})
		}
		s.mu.Unlock()
	}
	return out
}

// BreakDeadlock ends session id's statement as a deadlock's victim.
func (r *Registry) BreakDeadlock(id uint32) {
	r.mu.Lock()
	s := r.sessions[id]
	r.mu.Unlock()
	if s != nil {
		s.breakDeadlock()
	}
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
	case by != "" && s.userName() != by:
		return sqlerr.New(errKillDenied, "You are not owner of thread %d", id)
	case connection:
		s.killConnection()
	default:
		s.killStatement()
	}
	return nil
}
