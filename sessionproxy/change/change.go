package change

import (
	"cmp"
	"slices"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Changes is everything that one request wants written. The zero value
// changes nothing.
type Changes struct {
	// Ops change the data, in order.
	Ops []Op

	// Destroy ends the session; every other change is then ignored.
	Destroy bool
	// Regenerate issues a new ticket and refuses the old one at once.
	Regenerate bool
	// Touch counts the request as activity.
	Touch bool
	// Rollback drops every change, Destroy included.
	Rollback bool

	// Principal signs the client in, or out (""), when not nil. Either way the
	// ticket is replaced. Signing in restarts the absolute timeout.
	Principal *string
	// Timeout changes the timeouts of this session alone, when not nil.
	Timeout *Timeout
	// IfVersion makes the commit conditional on the stored version, when
	// not nil; "" is the version of a session that does not exist.
	IfVersion *string

	// baseOnly says that the ops are good for the data that they were made for,
	// and for no newer: it stands for conditions that Squash has dropped.
	baseOnly bool

	// Cookies concern the cookie jar; nil if the response sets none. They are
	// none of what Writes and None report.
	Cookies *Cookies

	// CanSetTicket says that the response can bring the browser a new ticket: one
	// that is due by Policy.RotateEvery is replaced then. It asks for nothing.
	CanSetTicket bool
}

// Allow returns an error unless the stored version is the one that the changes
// demand, if they demand one. A rotation by timer is no other version.
func (c *Changes) Allow(v store.Version) error {
	if c.IfVersion == nil {
		return nil
	}
	if demanded, err := store.ParseVersion(*c.IfVersion); err != nil || !demanded.Same(v) {
		return conflict(ErrIfVersion)
	}
	return nil
}

// Timeout is what an app asks for one session; zero members stay as they are.
// The manager's maximum caps both.
type Timeout struct {
	Idle, Absolute time.Duration
}

// Then returns the changes followed by later ones. It may reuse the room of
// c's ops: c is not to be used afterwards.
func (c Changes) Then(later Changes) Changes {
	all := later
	if all.Ops = c.Ops; len(later.Ops) > 0 {
		all.Ops = append(all.Ops, later.Ops...)
	}
	all.Destroy = c.Destroy || later.Destroy
	all.Regenerate = c.Regenerate || later.Regenerate
	all.Touch = c.Touch || later.Touch
	all.Rollback = c.Rollback || later.Rollback
	all.CanSetTicket = c.CanSetTicket || later.CanSetTicket
	all.baseOnly = c.baseOnly || later.baseOnly
	all.Cookies = c.Cookies.then(later.Cookies)
	if later.Principal == nil {
		all.Principal = c.Principal
	}
	if later.IfVersion == nil {
		all.IfVersion = c.IfVersion
	}
	if c.Timeout != nil {
		t := *c.Timeout
		if l := later.Timeout; l != nil {
			t = Timeout{Idle: cmp.Or(l.Idle, t.Idle), Absolute: cmp.Or(l.Absolute, t.Absolute)}
		}
		all.Timeout = &t
	}
	return all
}

// OnlyAdds reports whether the changes concern the data by additions alone,
// which can be applied in any order.
func (c *Changes) OnlyAdds() bool { return c.adds() == len(c.Ops) }

// Rewrites returns how often the data is written anew to make all ops.
func (c *Changes) Rewrites() (n int) {
	for _, op := range c.Ops {
		if p, ok := op.(jsonPatch); ok {
			n += p.Len()
		} else {
			n++
		}
	}
	return n
}

// adds returns how many ops at the end are additions.
func (c *Changes) adds() (n int) {
	for _, op := range slices.Backward(c.Ops) {
		if _, ok := op.(increment); !ok {
			break
		}
		n++
	}
	return n
}

// Replaces reports whether all of the data is set.
func (c *Changes) Replaces() bool {
	return slices.ContainsFunc(c.Ops, func(s Op) bool { _, ok := s.(replace); return ok })
}

// None reports whether nothing at all is asked for.
func (c *Changes) None() bool { return !c.Writes() && !c.Touch && !c.Rollback }

// Writes reports whether something is to be stored: what a read-only request
// must refuse, and what waits for the lock.
func (c *Changes) Writes() bool {
	return len(c.Ops) > 0 || c.Destroy || c.Regenerate || c.Principal != nil || c.Timeout != nil || c.IfVersion != nil
}

// Rotates reports whether the changes replace the ticket.
func (c *Changes) Rotates() bool { return c.Regenerate || c.Principal != nil }

// Proves reports whether the changes come with proof that the client is more
// than a late tab: an app that names the principal, or asks for another
// ticket, has looked at credentials.
func (c *Changes) Proves() bool { return c.Rotates() }

// SignsIn reports whether the client is signed in, and not out.
func (c *Changes) SignsIn() bool { return c.Principal != nil && *c.Principal != "" }
