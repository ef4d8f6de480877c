package session

import (
	"context"
	"errors"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/store"
)

// openPast opens for a late tab what its session's jar was before the ticket
// was replaced. That is what the late requests of a browser expect, and what
// an attacker with a planted ticket has seen already. Called before startNew.
func (s *Session) openPast(rec *store.Record, now time.Time) {
	if s.jar == nil {
		return
	}
	s.jar.replaced = s.cred
	kept, err := s.unseal(rec)
	if s.jar.lost = err; err != nil {
		return
	}
	var shown bool
	s.jar.given, shown = kept.pastOf(s.cred, now)
	s.jar.twice = shown && s.jar.form != formID{} && s.jar.form == kept.form
}

// pastOf returns what the ticket is shown of the jar after its replacement, which may be
// nothing; not ok is a ticket that the past is not shown to.
func (k *keptJar) pastOf(c Credential, now time.Time) (past *jar.Jar, ok bool) {
	if k.login != [loginPart]byte(c.Nonce[:]) {
		return nil, false
	}
	return k.jar.Past(now)
}

// beginsApart reports whether a late tab begins a session of its own by its
// cookies: by a login that the operator has named, like a sign-in; and by a form
// that was sent twice, from the past jar. The browser has thrown away the first
// answer to that, and the new ticket with it. Any other form is late: after a
// sign-out it would sign in again.
func (s *Session) beginsApart(c *change.Changes) bool {
	return c.Cookies != nil && c.Cookies.Begin && (s.jar.twice || c.Cookies.Login)
}

// sentTwice reports whether the ticket was replaced, while the request ran, by
// the same form that it is: both were on their way at once.
func (s *Session) sentTwice(ctx context.Context) bool {
	if s.jar.form == (formID{}) {
		return false
	}
	rec, err := s.store.Load(ctx, s.key)
	if err != nil || rec.Incarnation != s.rec.Incarnation || !inLateWindow(&rec, s.m.now()) {
		return false
	}
	kept, err := s.unseal(&rec)
	return err == nil && kept.form == s.jar.form && kept.login == [loginPart]byte(s.cred.Nonce[:])
}

// deleteLate carries out what counts of a form's cookies after its ticket was replaced:
// it deletes what the form was given, whatever the session has of that by now.
// A script that saves may replace the ticket just when the user signs
// out by a form, and that must not be lost. Scripts delete nothing, or a slow
// one would sign the user out. The past is the condition: an older ticket could
// be a stranger's. The response never brings the current ticket.
func (s *Session) deleteLate(ctx context.Context, c *change.Changes, replaced Credential) (Outcome, error) {
	deletions := c.Cookies.Wishes.Deletions(s.jar.given, c.Cookies.End)
	if s.jar.form == (formID{}) || deletions.IsEmpty() {
		return s.dropped(c), nil
	}
	h, err := s.openCurrent(ctx, replaced)
	switch {
	case err != nil && s.m.policy.FailOpen && !c.Writes():
		return s.dropped(c), nil
	case err != nil:
		return Outcome{}, err
	case h == nil:
		return s.dropped(c), nil
	}
	out, err := h.carryOut(ctx, change.Changes{Rollback: true, Cookies: &change.Cookies{Wishes: deletions}})
	if errors.Is(err, ErrGone) { // or replaced once more
		return s.dropped(c), nil
	}
	if err != nil {
		return Outcome{}, err
	}
	s.destroyed = s.destroyed || out.Destroyed
	out.Ticket, out.Persist, out.Resend = nil, false, false
	out.Cookies[jar.DroppedNoSession] += max(0, c.Cookies.Wishes.Len()-deletions.Len())
	return out, nil
}

// openCurrent returns a handle for the session as it is now, if its jar shows
// the past to the ticket, which was replaced; otherwise nil.
func (s *Session) openCurrent(ctx context.Context, replaced Credential) (*Session, error) {
	h := &Session{
		m: s.m, store: s.store, node: s.node, key: store.Key{Manager: s.m.id, ID: replaced.ID}, cred: replaced, state: Active, opened: s.m.now(),
		attempt: s.attempt, holder: s.holder, traced: s.traced, readOnly: s.readOnly, passive: s.passive, further: true, ended: true,
		jar: &cookieJar{},
	}
	rec, err := s.store.Load(ctx, h.key)
	if errors.Is(err, store.ErrGone) {
		return nil, nil
	}
	if err != nil {
		return nil, s.loadError(ctx, err)
	}
	h.openJar(&rec)
	if _, ok := h.jar.kept.pastOf(replaced, h.opened); !ok || !inLateWindow(&rec, h.opened) {
		return nil, nil
	}
	h.rec, h.cred.Nonce = rec, rec.Nonce
	return h, nil
}

// commitLate is deleteLate for a late tab, after all else that it may do, which is out
// or was refused.
func (s *Session) commitLate(ctx context.Context, c *change.Changes, out Outcome, refused error) (Outcome, error) {
	late, err := s.deleteLate(ctx, c, s.jar.replaced)
	if refused != nil {
		err = refused
	}
	return out.Then(late), err
}
