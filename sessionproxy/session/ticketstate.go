package session

import (
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/store"
)

// ticketState is what a genuine ticket is worth against the record of its
// session. This is the one home of the rule:
//
//	state     the ticket bears                       the request sees    its writes
//	current   the record's nonce                     the session         are saved
//	previous  the nonce before a rotation by timer   the session         are saved; the response carries the current ticket
//	late      a nonce from before a sign-in, a       "expired" and {}    are refused (ErrReplaced); a sign-in or regenerate
//	          sign-out or regenerate, which is                           begins a fresh session; destroy clears the
//	          at most lateWindow ago                                     presented ticket and ends nothing
//	expired   any other nonce                        "expired" and {}    begin a fresh session under a fresh number
//
// With a cookie jar, a login that shows in the app's cookies replaces the ticket
// like a sign-in: see jar.Merge. What the late ticket sees and may do then:
//
//	the very ticket that was replaced    the jar as it was before   cookies are dropped, but what a form deletes is
//	                                                                deleted: see deleteLate; a form that was sent
//	                                                                twice begins a session of its own from that jar
//	an older one, or the ticket from     the empty jar              cookies are dropped
//	before a Cookies.Login
//
// Either way a Cookies.Login with cookies begins a fresh session, as a sign-in does.
//
// The only copy of a new ticket is in one response, and responses get lost.
// Therefore the previous ticket stays good until the current one was presented,
// and for the grace after that; without that, for two periods of the timer.
// No rotation happens while the previous ticket is good. And therefore the
// late window is short: after it a browser that never received the new ticket
// can write again, into a session of its own.
type ticketState int

const (
	ticketCurrent ticketState = iota
	ticketPrevious
	ticketLate
	ticketExpired
)

// lateWindow is how long the tickets from before a sign-in, a sign-out or
// regenerate belong to late tabs: requests that were on their way.
const lateWindow = jar.PastFor

// stateIn returns the state of the credential's ticket against the record of
// its session.
func (c Credential) stateIn(rec *store.Record, now time.Time) ticketState {
	switch {
	case c.Nonce == rec.Nonce:
		return ticketCurrent
	case c.Nonce == rec.PreviousNonce && now.Before(rec.PreviousUntil):
		return ticketPrevious
	case inLateWindow(rec, now) && !c.sameLogin(rec):
		return ticketLate
	}
	return ticketExpired
}

// admits reports whether the credential opens the session.
func (c Credential) admits(rec *store.Record, now time.Time) bool {
	state := c.stateIn(rec, now)
	return state == ticketCurrent || state == ticketPrevious
}

// inLateWindow reports whether the record's ticket was replaced by other
// means than the timer just now. Such a record has an end of the previous
// ticket and no previous ticket. A clock that was set back ends the window.
func inLateWindow(rec *store.Record, now time.Time) bool {
	return rec.PreviousNonce == [16]byte{} && !now.Before(rec.Rotated) && now.Before(rec.PreviousUntil)
}

// replaceTicket gives the record the nonce of a sign-in, a sign-out or
// regenerate. No ticket from before opens the session any more.
func replaceTicket(rec *store.Record, nonce [16]byte, now time.Time) {
	rec.Nonce, rec.PreviousNonce = nonce, [16]byte{}
	rec.Rotated, rec.PreviousUntil = now, now.Add(lateWindow)
}

// rotate replaces the ticket by timer. The previous one stays good for two
// periods, unless the new one is presented earlier: see presented.
func (p *Policy) rotate(rec *store.Record, now time.Time) {
	rec.PreviousNonce, rec.PreviousUntil = rec.Nonce, now.Add(2*p.RotateEvery)
	rec.Nonce, rec.Rotated = rotatedNonce(rec.Nonce), now
}

// unseen reports whether the record does not know yet that its ticket, which
// c is, has reached the browser: the previous one is good for longer than the grace.
func (p *Policy) unseen(c Credential, rec *store.Record, now time.Time) bool {
	return c.Nonce == rec.Nonce && rec.PreviousNonce != [16]byte{} && rec.PreviousUntil.After(now.Add(p.RotateGrace))
}

// presented ends the previous ticket after the grace.
func (p *Policy) presented(rec *store.Record, now time.Time) {
	rec.PreviousUntil = now.Add(p.RotateGrace)
}
