package badgerstore

import (
	"sync"
	"sync/atomic"
)

// inflight counts the calls under way, so that nothing is closed under them:
// Badger's iterators and values fault, unrecoverably, when they outlive it.
type inflight struct {
	n    atomic.Int64
	idle chan struct{} // closed when the last call has left after end
	once sync.Once     // of closing idle: a call that came too late leaves, too
}

func newUses() *inflight { return &inflight{idle: make(chan struct{})} }

// ended is far below any number of calls.
const ended = -1 << 40

// begin counts a call in, unless end was called.
func (u *inflight) begin() bool {
	if u.n.Add(1) > 0 {
		return true
	}
	u.done()
	return false
}

func (u *inflight) done() {
	if u.n.Add(-1) == ended {
		u.once.Do(func() { close(u.idle) })
	}
}

// end lets no further call in and waits for those under way.
func (u *inflight) end() {
	for {
		n := u.n.Load()
		if n < 0 {
			return
		}
		if u.n.CompareAndSwap(n, n+ended) {
			if n > 0 {
				<-u.idle
			}
			return
		}
	}
}
