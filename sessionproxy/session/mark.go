package session

import "github.com/sessionproxy/sessionproxy/store"

// Mark is what was staged at some moment.
type Mark struct {
	of      *Session
	version store.Version
	pending Changes
	view    []byte
}

// Mark notes what is staged now, for UnstageTo.
func (s *Session) Mark() Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Mark{s, s.rec.Version, s.pending, s.view}
}

// UnstageTo drops what was staged since the mark; all of it, if the mark is of
// another handle, or of data that has been read anew since.
func (s *Session) UnstageTo(m Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.of != s || m.version != s.rec.Version {
		m = Mark{}
	}
	if s.pending.Writes() {
		s.dropped()
	}
	s.pending, s.view = m.pending, m.view
	s.stagings++
}
