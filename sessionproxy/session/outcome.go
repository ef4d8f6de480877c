package session

import (
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/store"
)

// Outcome is what a commit did, and what the browser has to learn of it.
type Outcome struct {
	// Ticket is to be sent to the browser, when not nil.
	Ticket *Credential
	// Lifetime is how long the ticket may be of use if nothing more
	// happens: until the session's deadline. Set together with Ticket.
	Lifetime time.Duration
	// ClearTicket says that the browser's ticket opens nothing any more.
	ClearTicket bool

	// Persist says that the ticket is to outlast the browser for its lifetime,
	// whatever the carrier does otherwise: the app remembers the client. Resend,
	// that this has changed, so that the ticket is sent though the browser has it.
	Persist, Resend bool
	// What happened: the session was begun, its ticket replaced, the
	// session ended, its data or metadata saved.
	Created, Rotated, Destroyed, Saved bool
	// Stale says that the browser has a ticket that was replaced by timer:
	// Ticket is the current one.
	Stale bool
	// Reapplied says that the changes were applied to newer data than the
	// app had seen; Overwrote that this undid some of another request's.
	Reapplied, Overwrote bool
	// Cookies counts those that were not kept, or had to go; nil if the
	// response set none.
	Cookies *jar.Counts
}

// Then returns the outcome of two commits of one request, in that order.
func (o Outcome) Then(later Outcome) Outcome {
	if later.Ticket == nil {
		later.Ticket, later.Lifetime, later.Persist = o.Ticket, o.Lifetime, o.Persist
	}
	later.Resend = later.Resend || o.Resend
	if later.Destroyed || later.ClearTicket {
		later.Ticket = nil
	}
	later.Created = (later.Created || o.Created) && !later.Destroyed
	later.Rotated = later.Rotated || o.Rotated
	later.Stale = later.Stale || o.Stale
	later.Saved = later.Saved || o.Saved
	later.Destroyed = later.Destroyed || o.Destroyed
	later.ClearTicket = later.ClearTicket || o.ClearTicket
	later.Reapplied = later.Reapplied || o.Reapplied
	later.Overwrote = later.Overwrote || o.Overwrote
	if later.Cookies == nil {
		later.Cookies = o.Cookies
	}
	return later
}

// did names in one word what a commit did.
func (o *Outcome) did() string {
	switch {
	case o.Created:
		return "created"
	case o.Destroyed:
		return "destroyed"
	case o.Rotated:
		return "rotated"
	case o.Saved:
		return "saved"
	}
	return "unchanged"
}

// outcome publishes what a plan that was carried out has done, and returns what
// the browser has to learn of it.
func (s *Session) outcome(p *commitPlan) Outcome {
	out := Outcome{
		Saved: p.step == stepSave, Created: p.created, Rotated: p.rotated,
		Reapplied: p.reapplied, Overwrote: p.overwrote,
	}
	if p.jar != nil {
		out.Cookies = &p.jar.counts
		out.Resend = s.exists() && p.jar.before.After(p.at) != p.jar.kept.remember.After(p.at)
	}
	switch p.step {
	case stepNone:
	case stepEnd:
		out.ClearTicket, out.Destroyed = true, s.exists()
		return out
	case stepMinor, stepSave:
		s.publish(p, p.at)
	}
	if (s.exists() || p.created) && !p.unconfirmed && (p.created || p.rotated || out.Resend || s.renewTicket || s.cred.Nonce != p.Nonce) {
		out = s.ticketed(out, &p.Record, p.at)
		out.Persist = s.remembers(p)
	}
	if p.step == stepSave {
		s.created, s.cred.Nonce = p.created, p.Nonce
	}
	return out
}

// ticketed adds the ticket of the record to an outcome.
func (s *Session) ticketed(out Outcome, rec *store.Record, now time.Time) Outcome {
	cred := s.cred
	cred.Nonce = rec.Nonce
	out.Ticket, out.Lifetime = &cred, rec.Deadline().Sub(now)
	out.Stale = s.cred.Nonce != rec.Nonce && !out.Created && !out.Rotated
	return out
}
