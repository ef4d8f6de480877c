package session

import (
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/store"
)

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
