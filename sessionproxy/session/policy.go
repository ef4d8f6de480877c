package session

import (
	"errors"
	"fmt"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Locking says what happens when two requests use one session at once.
type Locking int

const (
	// Lossy reapplies a request's own changes to newer data: the last
	// writer wins per key, and disjoint keys are never lost.
	Lossy Locking = iota
	// Optimistic refuses a commit whose session was changed meanwhile.
	Optimistic
	// Serialized lets one request at a time have the session.
	Serialized
)

// String returns the Caddyfile's word for the policy.
func (l Locking) String() string {
	switch l {
	case Lossy:
		return "lossy"
	case Optimistic:
		return "optimistic"
	case Serialized:
		return "serialized"
	default:
		return fmt.Sprintf("Locking(%d)", int(l))
	}
}

// Policy is what one manager decides for its sessions. Start from
// DefaultPolicy: the zero value is refused by NewManager.
type Policy struct {
	Locking Locking
	// Wait is the longest time in the queue of a serialized session; zero tries once.
	Wait time.Duration
	// Queue is how many requests may wait for one serialized session.
	Queue int

	// Merge lets an optimistic commit unite its changes with those of
	// others, as long as no place was changed on both sides.
	Merge bool

	// IdleTimeout ends a session that is not used; AbsoluteTimeout ends it
	// in any case, counted from its creation or the last sign-in.
	IdleTimeout, AbsoluteTimeout time.Duration
	// MaxIdle and MaxAbsolute cap what an app may ask for a single session.
	MaxIdle, MaxAbsolute time.Duration

	// RotateEvery replaces the ticket of a session in use when it is that
	// old; zero means never. The old one stays good until the new one was
	// presented, and for RotateGrace after that: see ticketState. A
	// request that is no activity replaces none, nor does one that is
	// read-only.
	RotateEvery, RotateGrace time.Duration

	// MaxPerPrincipal is how many sessions a principal may be signed in to at
	// once; zero means any number. Beyond it the session that began first
	// ends, if EvictOldest says so; otherwise the sign-in is refused.
	MaxPerPrincipal int
	EvictOldest     bool

	// MaxSize limits the data, in bytes of its compact ASCII form.
	MaxSize int
	// CreateAlways begins a session for every visitor, not at the first write.
	CreateAlways bool
	// CookieJar keeps cookies of the app in the session: see change.Cookies.
	// Without it they are ignored.
	CookieJar bool
	// FailOpen lets requests pass without a session when the store cannot
	// be read. Their writes are still refused.
	FailOpen bool
}

// DefaultPolicy returns the documented defaults.
func DefaultPolicy() Policy {
	return Policy{
		Wait: 10 * time.Second, Queue: 32,
		IdleTimeout: 30 * time.Minute, AbsoluteTimeout: 12 * time.Hour,
		MaxIdle: 30 * time.Minute, MaxAbsolute: 12 * time.Hour,
		RotateGrace: 10 * time.Second,
		MaxSize:     64 << 10,
	}
}

// MaxTimeout is the longest timeout, a century: sums with it do not overflow.
const MaxTimeout = 100 * 365 * 24 * time.Hour

func (p Policy) check() error {
	switch {
	case p.Locking < Lossy || p.Locking > Serialized:
		return fmt.Errorf("unknown locking policy %v", p.Locking)
	case p.Wait < 0:
		return errors.New("wait must not be negative")
	case p.Queue < 1:
		return errors.New("queue must be at least 1")
	case max(p.IdleTimeout, p.AbsoluteTimeout, p.MaxIdle, p.MaxAbsolute) > MaxTimeout:
		return errors.New("timeouts must not be longer than a century")
	case p.IdleTimeout < time.Second || p.AbsoluteTimeout < time.Second:
		return errors.New("idle and absolute timeout must be at least one second")
	case p.IdleTimeout > p.AbsoluteTimeout:
		return fmt.Errorf("idle timeout %v is longer than the absolute timeout %v", p.IdleTimeout, p.AbsoluteTimeout)
	case p.MaxIdle < p.IdleTimeout || p.MaxAbsolute < p.AbsoluteTimeout:
		return errors.New("maximum timeouts must not be shorter than the timeouts themselves")
	case p.MaxIdle > p.MaxAbsolute:
		return fmt.Errorf("maximum idle timeout %v is longer than the maximum absolute timeout %v", p.MaxIdle, p.MaxAbsolute)
	case p.RotateEvery < 0 || p.RotateGrace < 0 || p.RotateEvery > 0 && p.RotateEvery < time.Second:
		return errors.New("tickets can be rotated every second or more rarely, with a grace that is not negative")
	case p.RotateEvery > 0 && p.RotateGrace >= p.RotateEvery:
		return fmt.Errorf("rotation grace %v is not shorter than the rotation every %v", p.RotateGrace, p.RotateEvery)
	case p.MaxPerPrincipal < 0 || p.EvictOldest && p.MaxPerPrincipal == 0:
		return errors.New("sessions per principal must be at least 1")
	case p.MaxSize < len("{}") || p.MaxSize > store.MaxData:
		return fmt.Errorf("max size must be 2 to %d bytes", store.MaxData)
	}
	return nil
}
