package session

import (
	"sync"

	"github.com/sessionproxy/sessionproxy/store"
)

// Streams knows the responses that stay open after their session was
// committed: WebSockets, event streams and bodies without a length. When the
// session ends, so do they.
// Safe for concurrent use.
type Streams struct {
	mu   sync.Mutex
	open map[store.Key]map[*Stream]struct{}
}

// Stream is one open response.
type Stream struct {
	of     *Streams
	key    store.Key
	cancel func()
}

// NewStreams returns an empty table.
func NewStreams() *Streams {
	return &Streams{open: make(map[store.Key]map[*Stream]struct{})}
}

// Watch notes a response that shows the session. cancel is called at most
// once, from a goroutine of its own, when the session ends.
// The caller calls Done when the response is over.
func (s *Streams) Watch(key store.Key, cancel func()) *Stream {
	t := &Stream{of: s, key: key, cancel: cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.open[key]
	if of == nil {
		of = make(map[*Stream]struct{})
		s.open[key] = of
	}
	of[t] = struct{}{}
	return t
}

// Done ends the watch. Idempotent.
func (t *Stream) Done() {
	s := t.of
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(t)
}

func (s *Streams) forget(t *Stream) {
	delete(s.open[t.key], t)
	if len(s.open[t.key]) == 0 {
		delete(s.open, t.key)
	}
}

// End cancels every response that shows the session, and returns how many. It
// waits for none of them: the store's writer calls it, and a cancellation is
// I/O with a client.
func (s *Streams) End(key store.Key) int {
	s.mu.Lock()
	ended := s.open[key]
	delete(s.open, key)
	s.mu.Unlock()
	for t := range ended {
		go t.cancel()
	}
	return len(ended)
}

// Len returns how many responses are open.
func (s *Streams) Len() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.open {
		n += len(of)
	}
	return n
}
