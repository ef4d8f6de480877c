package storetest

import (
	"errors"
	"sync"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Clock is a time that only a test moves. Safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock near the machine's own time, in whole
// milliseconds: engines may have backstops that go by the latter.
func NewClock() *Clock { return &Clock{now: time.Now().UTC().Truncate(time.Millisecond)} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func isGone(err error) bool { return errors.Is(err, store.ErrGone) }

// same compares records as stores keep them: to the millisecond.
func same(a, b store.Record) bool {
	times := func(r store.Record) [7]int64 {
		return [7]int64{
			r.Created.UnixMilli(), r.Written.UnixMilli(), r.Accessed.UnixMilli(),
			r.Absolute.UnixMilli(), r.PreviousUntil.UnixMilli(), r.Rotated.UnixMilli(), r.Since.UnixMilli(),
		}
	}
	return string(a.Data) == string(b.Data) && string(a.Cookies) == string(b.Cookies) && times(a) == times(b) && a.Idle == b.Idle && a.OwnIdle == b.OwnIdle && a.OwnAbsolute == b.OwnAbsolute && a.Principal == b.Principal &&
		a.Nonce == b.Nonce && a.PreviousNonce == b.PreviousNonce && a.Incarnation == b.Incarnation && a.Version == b.Version
}
