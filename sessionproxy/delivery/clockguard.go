package delivery

import "time"

const (
	// jumpTolerance is how far the wall clock may run ahead of the monotonic
	// one, between two checks, and still be taken for right.
	jumpTolerance = 30 * time.Second
	// jumpHold is how long no session is swept after the wall clock was set
	// forward: time for an operator, or for NTP, to set it right again. Until
	// then sessions that seem to have expired are invisible, and come back
	// with the clock; after it the new time is believed.
	jumpHold = 10 * time.Minute
)

// clockGuard detects that the wall clock was set, by the monotonic clock. A
// machine that slept looks the same. Used by one goroutine.
type clockGuard struct {
	now     func() time.Time
	started time.Time // with a monotonic reading

	wall  time.Time     // at the last check
	mono  time.Duration // since started, at the last check
	ahead time.Duration // by how much the clock was set forward, while it is not believed
	until time.Duration // since started: when it is
}

func newClockGuard(now func() time.Time) *clockGuard {
	return &clockGuard{now: now, started: time.Now(), wall: now().Round(0)}
}

// check compares the clocks. It returns the time, by how much the wall clock
// was set since the last check, zero if it was not, and for how long it is not
// to be believed. What is decided by the time must be decided by this one: the
// clock may be set right after the check.
func (c *clockGuard) check() (wall time.Time, by, hold time.Duration) {
	wall = c.now().Round(0)
	mono := time.Since(c.started)
	by = wall.Sub(c.wall) - (mono - c.mono)
	c.wall, c.mono = wall, mono
	switch {
	case by > jumpTolerance:
		c.ahead += by
		c.until = mono + jumpHold
	case by < -jumpTolerance:
		c.ahead += by
	default:
		by = 0
	}
	if c.ahead <= jumpTolerance || mono >= c.until {
		c.ahead, c.until = 0, 0
	}
	if c.until > 0 {
		hold = c.until - mono
	}
	return wall, by, hold
}
