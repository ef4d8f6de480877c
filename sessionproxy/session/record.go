package session

import (
	"bytes"
	"fmt"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/store"
)

// nextRecord computes what is written over current, and whether that differs.
// nonce is the one of the new ticket, if the changes want one.
func (s *Session) nextRecord(c *change.Changes, current *store.Record, nonce [16]byte, now time.Time) (w commitPlan, changed bool, err error) {
	data, err := s.rebase(c, current)
	if err != nil {
		return w, false, err
	}
	rec := *current
	if s.exists() {
		changed = c.Rotates()
		s.m.policy.shorten(&rec)
	} else {
		changed = s.m.policy.CreateAlways || createsSession(c, data)
		s.initRecord(&rec, now)
	}
	if !bytes.Equal(data, rec.Data) {
		rec.Data, rec.Written, changed, w.saved = data, now, true, true
	}
	if c.Rotates() && s.exists() {
		replaceTicket(&rec, nonce, now)
		w.rotated = true
	}
	if s.applyAccount(&rec, c, now) {
		changed = changed || s.exists()
	}
	if !changed {
		return w, false, nil
	}
	switch {
	case w.rotated:
	case s.arrives(&rec, now):
		s.m.policy.presented(&rec, now)
	case s.rotationDue(c.CanSetTicket, &rec, now):
		s.m.policy.rotate(&rec, now)
		w.rotated = true
	}
	rec.Version = current.Version.Next()
	if now.After(rec.Accessed) {
		rec.Accessed = now
	}
	w.Record, w.created = rec, !s.exists()
	s.attachEvents(&w, c, current.Data)
	return w, true, nil
}

// rebase computes the new data: from what the app was shown, or, when that is
// no longer what is stored, as the policy says.
func (s *Session) rebase(c *change.Changes, current *store.Record) ([]byte, error) {
	shown, maxSize := s.rec.Data, s.m.policy.MaxSize
	switch {
	case current.Version == s.rec.Version:
		return c.Apply(shown, maxSize)
	case bytes.Equal(current.Data, shown): // the other request changed no data
		return c.Apply(current.Data, maxSize)
	}
	if err := c.CheckRebase(); err != nil {
		return nil, err
	}
	switch {
	case s.m.policy.Locking == Lossy, c.OnlyAdds(): // additions commute, and the principal is not in the data
		return c.Rebase(shown, current.Data, maxSize)
	case s.lockLate && c.Meets(shown, current.Data, maxSize):
		return nil, fmt.Errorf("%w: another request has changed the same place since this one was opened without the lock", change.ErrConflict)
	case s.lockLate, s.m.policy.Locking == Optimistic && s.m.policy.Merge:
		return c.Merge(shown, current.Data, maxSize)
	}
	return nil, change.ErrConflict
}

// initRecord sets what a session has from its beginning.
func (s *Session) initRecord(rec *store.Record, now time.Time) {
	rec.Created, rec.Written, rec.Accessed = now, now, now
	rec.Idle = s.m.policy.IdleTimeout
	rec.Absolute, rec.Since = now.Add(s.m.policy.AbsoluteTimeout), now
	rec.Nonce, rec.Rotated = s.cred.Nonce, now
	rec.Incarnation = store.NewIncarnation()
}

// applyAccount sets the principal and the timeouts, and reports whether the
// latter changed.
func (s *Session) applyAccount(rec *store.Record, c *change.Changes, now time.Time) bool {
	if c.Principal != nil {
		rec.Principal = *c.Principal
	}
	if c.SignsIn() {
		rec.Absolute, rec.Since = now.Add(s.m.policy.AbsoluteTimeout), now
		rec.OwnAbsolute = false
	}
	return s.applyTimeout(rec, c, now)
}

// applyTimeout applies a Timeout, capped by the policy, and reports whether it
// changed something. The absolute expiry moves later only at the beginning of
// a session and at a sign-in.
func (s *Session) applyTimeout(rec *store.Record, c *change.Changes, now time.Time) bool {
	if c.Timeout == nil {
		return false
	}
	before := *rec
	if t := c.Timeout.Idle; t > 0 {
		rec.Idle, rec.OwnIdle = min(t, s.m.policy.MaxIdle), true
	}
	if t := c.Timeout.Absolute; t > 0 {
		end := now.Add(min(t, s.m.policy.MaxAbsolute))
		if !s.exists() || c.SignsIn() || end.Before(rec.Absolute) {
			rec.Absolute, rec.OwnAbsolute = end, true
		}
	}
	return rec.Idle != before.Idle || !rec.Absolute.Equal(before.Absolute)
}

// createsSession reports whether the changes, applied to a session that does not
// exist, are a reason to begin one. Turning over a ticket or a timeout of
// nothing is not.
func createsSession(c *change.Changes, data []byte) bool {
	return c.Replaces() || !bytes.Equal(data, emptyData) || c.SignsIn()
}
