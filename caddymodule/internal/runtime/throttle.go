package runtime

import (
	"sync"
	"time"
)

// throttle bounds how often things of one kind are written down: a client that sends
// bad tickets, or a listener that fails for days, must not fill the disk. Safe
// for concurrent use.
type throttle[K comparable] struct {
	now   func() time.Time
	every time.Duration // the least time between two of one kind

	mu   sync.Mutex // protects kind
	kind map[K]*burst
}

type burst struct {
	written    time.Time
	suppressed int // since then
}

func newThrottle[K comparable](now func() time.Time, every time.Duration) *throttle[K] {
	return &throttle[K]{now: now, every: every, kind: make(map[K]*burst)}
}

// admit reports whether one of that kind may be written now, and how many were
// left out before it.
func (l *throttle[K]) admit(kind K) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, b := l.now(), l.kind[kind]
	if b == nil {
		b = new(burst)
		l.kind[kind] = b
	} else if age := now.Sub(b.written); age >= 0 && age < l.every {
		b.suppressed++
		return 0, false
	}
	suppressed = b.suppressed
	b.written, b.suppressed = now, 0
	return suppressed, true
}
