package reshard

import (
	"context"
	"time"
)

// taken is what the settler has to do for one stream.
type taken struct {
	stream *stream
	keys   map[dirtyKey]struct{}
	// upTo is the position that is reached when the keys are settled.
	upTo string
}

// take gives all that is dirty; the stream collects anew.
func (s *stream) take() taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := taken{stream: s, upTo: positionBefore(s.mu.read.String(), s.mu.parked)}
	if len(s.mu.dirty) > 0 {
		t.keys = s.mu.dirty
		s.mu.dirty = map[dirtyKey]struct{}{}
		close(s.mu.room)
		s.mu.room = make(chan struct{})
	}
	return t
}

// positionBefore is the position up to which everything is known to be over: all
// that was read, but for what lies behind the oldest prepared transaction.
func positionBefore(read string, waiting map[string]*parked) string {
	var oldest *parked
	for _, p := range waiting {
		if oldest == nil || p.order < oldest.order {
			oldest = p
		}
	}
	if oldest == nil {
		return read
	}
	return oldest.before
}

// saveEvery is how often a position is written down at most. What lies between
// is only done twice after a crash.
const saveEvery = time.Second

// done says that the keys taken are settled; left are those that could not be,
// because others hold them, and which keep the position where it is.
func (s *stream) done(ctx context.Context, t taken, left []dirtyKey) error {
	s.mu.Lock()
	for _, k := range left {
		s.mu.dirty[k] = struct{}{}
	}
	if len(left) > 0 {
		s.mu.Unlock()
		return nil
	}
	if t.upTo != s.mu.settled {
		s.mu.settled = t.upTo
		close(s.mu.news)
		s.mu.news = make(chan struct{})
	}
	save := s.mu.settled != s.mu.saved && time.Since(s.mu.savedAt) >= saveEvery
	if save {
		s.mu.saved, s.mu.savedAt = s.mu.settled, time.Now()
	}
	s.mu.Unlock()
	if !save {
		return nil
	}
	return s.m.cfg.Journal.SavePosition(ctx, s.cluster, t.upTo)
}
