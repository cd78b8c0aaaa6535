package executor

import "github.com/servaldb/serval/executor/merge"

// spareBytes bounds the memory a run leaves for the next one.
const spareBytes = 64 << 10

// spare is memory in which one run's rows are held and sorted, and which the
// next run of the same route uses again.
type spare struct {
	rows  [][]byte
	chunk []byte
	arms  []uint8
	sort  merge.Held
}

// takeSpare gives a spare that nobody else has, with room for an answer like
// the last one.
func (h *habit) takeSpare() *spare {
	s, _ := h.spares.Get().(*spare)
	if s == nil {
		s = &spare{}
	}
	h.mu.Lock()
	n := h.bytes
	h.mu.Unlock()
	if cap(s.chunk) < n {
		s.chunk = make([]byte, 0, n+n/8)
	}
	return s
}

// returnSpare takes it back when nothing of it is in use any more.
func (h *habit) returnSpare(s *spare) {
	if cap(s.chunk) <= spareBytes {
		clear(s.rows)
		s.sort.Forget()
		h.spares.Put(s)
	}
}
