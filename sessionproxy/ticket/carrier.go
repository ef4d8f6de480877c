package ticket

import (
	"net/http"
	"time"
)

// Carrier is the place in a request and in its response where a ticket
// travels. Implementations do not change while in use, and are safe for
// concurrent use.
type Carrier interface {
	// Extract returns the values that a request presents in this place, in
	// order, each once, and no more than a few hundred. Nothing is decoded
	// or verified. An empty value is presented by a client that has no
	// ticket and wants to get one in this place; no value at all by one
	// that does not speak of tickets here.
	//
	// A carrier that looks through the cookies removes those of names on the
	// way. Otherwise the values stay where they are.
	Extract(h http.Header, secure bool, names Names) []string

	// Names returns the names under which the carrier's tickets travel.
	Names() Names

	// Claims reports whether a value that was read was meant to be a ticket of
	// the ring, good or bad. In a place that others use as well, what is
	// theirs is not.
	Claims(r *Ring, value string) bool

	// Set puts a ticket into a response, and forbids to store that response.
	// What the response had in this place before is replaced, or was removed.
	Set(h http.Header, value string, secure bool, lifetime time.Duration)

	// Clear tells the client that its ticket is void, and forbids to store
	// the response.
	Clear(h http.Header, secure bool)

	// NeedsRenewal reports whether a client has to be told the lifetime of the
	// ticket that it has, when that grows.
	NeedsRenewal() bool
}

var (
	_ Carrier = (*Cookie)(nil)
	_ Carrier = (*Header)(nil)
	_ Carrier = Bearer{}
)

// Extract takes all cookies of the names out of a request, and returns the values
// of its own.
func (c *Cookie) Extract(h http.Header, secure bool, names Names) []string {
	return take(h, c.NameOn(secure), names)
}

// Claims is true: a cookie of that name is meant for this proxy alone.
func (c *Cookie) Claims(*Ring, string) bool { return true }

// NeedsRenewal reports whether the cookie bears a lifetime.
func (c *Cookie) NeedsRenewal() bool { return c.Persist }

// Persistent returns the carrier, made to outlast the browser if it is a cookie.
func Persistent(c Carrier) Carrier {
	cookie, ok := c.(*Cookie)
	if !ok || cookie.Persist {
		return c
	}
	lasting := *cookie
	lasting.Persist = true
	return &lasting
}

// setHeader makes a header of a response bear the ticket alone.
func setHeader(h http.Header, name, value string) {
	h[name] = []string{value}
	h.Set("Cache-Control", "no-store")
}
