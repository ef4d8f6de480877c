package session

import (
	"fmt"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// rotates reports whether the changes replace the ticket.
func (c *Changes) rotates() bool { return c.Regenerate || c.Principal != nil }

// proves reports whether the changes come with proof that the client is more
// than a late tab: an app that names the principal, or asks for another
// ticket, has looked at credentials.
func (c *Changes) proves() bool { return c.rotates() }

// signsIn reports whether somebody is signed in, and not only forgotten.
func (c *Changes) signsIn() bool { return c.Principal != nil && *c.Principal != "" }

// begins reports whether the changes, applied to a session that does not
// exist, are a reason to begin one. Turning over a ticket or a timeout of
// nothing is not.
func (c *Changes) begins(data []byte) bool {
	return c.replaces() || !sameBytes(data, emptyData) || c.Principal != nil && *c.Principal != ""
}

// next computes what is written over current, and whether that differs.
// nonce is the one of the new ticket, if the changes want one.
func (s *Session) next(c *Changes, current *store.Record, nonce [16]byte, now time.Time) (w written, changed bool, err error) {
	data, err := s.dataOn(c, current)
	if err != nil {
		return w, false, err
	}
	rec := *current
	if s.exists() {
		changed = c.rotates()
		s.m.policy.shorten(&rec)
	} else {
		changed = s.m.policy.CreateAlways || c.begins(data)
		s.fill(&rec, now)
	}
	if !sameBytes(data, rec.Data) {
		rec.Data, rec.Written, changed, w.saved = data, now, true, true
	}
	if c.rotates() && s.exists() {
		replaceTicket(&rec, nonce, now)
		w.rotated = true
	}
	if s.account(&rec, c, now) {
		changed = changed || s.exists()
	}
	if !changed {
		return w, false, nil
	}
	switch {
	case w.rotated:
	case s.arrives(&rec, now):
		s.m.policy.presented(&rec, now)
	case s.rotationDue(c.Carries, &rec, now):
		s.m.policy.rotate(&rec, now)
		w.rotated = true
	}
	rec.Version = current.Version.Next()
	if now.After(rec.Accessed) {
		rec.Accessed = now
	}
	w.Record, w.created = rec, !s.exists()
	s.file(&w, c, current.Data)
	return w, true, nil
}

// dataOn computes the new data: from what the app was shown, or, when that is
// no longer what is stored, as the policy says.
func (s *Session) dataOn(c *Changes, current *store.Record) ([]byte, error) {
	shown, maxSize := s.rec.Data, s.m.policy.MaxSize
	switch {
	case current.Version == s.rec.Version:
		return c.data(shown, maxSize)
	case sameBytes(current.Data, shown): // the other request changed no data
		return c.data(current.Data, maxSize)
	case c.bound:
		return nil, tooMuchRework()
	case s.m.policy.Locking == Lossy, c.onlyAdds(): // additions commute, and who is signed in has nothing to do with the data
		return c.reapplied(shown, current.Data, maxSize)
	case s.lockLate && c.meets(shown, current.Data, maxSize):
		return nil, fmt.Errorf("%w: another request has changed the same place since this one was opened without the lock", ErrConflict)
	case s.lockLate, s.m.policy.Locking == Optimistic && s.m.policy.Merge:
		return c.merged(shown, current.Data, maxSize)
	}
	return nil, ErrConflict
}

// fill sets what a session has from its beginning.
func (s *Session) fill(rec *store.Record, now time.Time) {
	rec.Created, rec.Written, rec.Accessed = now, now, now
	rec.Idle = s.m.policy.IdleTimeout
	rec.Absolute, rec.Since = now.Add(s.m.policy.AbsoluteTimeout), now
	rec.Nonce, rec.Rotated = s.cred.Nonce, now
	rec.Incarnation = store.NewIncarnation()
}

// account sets who is signed in and the timeouts, and reports whether the
// latter changed.
func (s *Session) account(rec *store.Record, c *Changes, now time.Time) bool {
	if c.Principal != nil {
		rec.Principal = *c.Principal
	}
	if c.signsIn() {
		rec.Absolute, rec.Since = now.Add(s.m.policy.AbsoluteTimeout), now
		rec.OwnAbsolute = false
	}
	return s.limit(rec, c, now)
}

// limit applies a Timeout, capped by the policy, and reports whether it
// changed something. The absolute expiry moves later only at the beginning of
// a session and at a sign-in.
func (s *Session) limit(rec *store.Record, c *Changes, now time.Time) bool {
	if c.Timeout == nil {
		return false
	}
	before := *rec
	if t := c.Timeout.Idle; t > 0 {
		rec.Idle, rec.OwnIdle = min(t, s.m.policy.MaxIdle), true
	}
	if t := c.Timeout.Absolute; t > 0 {
		end := now.Add(min(t, s.m.policy.MaxAbsolute))
		if !s.exists() || c.signsIn() || end.Before(rec.Absolute) {
			rec.Absolute, rec.OwnAbsolute = end, true
		}
	}
	return rec.Idle != before.Idle || !rec.Absolute.Equal(before.Absolute)
}
