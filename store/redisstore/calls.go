package redisstore

import "sync"

// calls counts the calls under way, so that nothing is closed under them.
type calls struct {
	mu     sync.Mutex
	n      int           // protected by mu
	closed bool          // protected by mu
	idle   chan struct{} // closed once the last one left, after close
}

// enter reports whether a call may begin.
func (c *calls) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.n++
	return true
}

// join counts what a call that is under way begins, and outlives it.
func (c *calls) join() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func (c *calls) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n--; c.n == 0 && c.closed {
		close(c.idle)
	}
}

// close lets no call begin any more, waits for those under way, and reports
// whether it is the first one to do so.
func (c *calls) close() bool {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	if first {
		if c.idle = make(chan struct{}); c.n == 0 {
			close(c.idle)
		}
	}
	c.mu.Unlock()
	<-c.idle
	return first
}
