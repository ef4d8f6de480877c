package session

import (
	"context"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// shorten caps a record's timeouts by the policy of today, and reports whether
// that changed something: what the manager gives by its timeouts, what the app
// asked for by the longest that it may ask for. Longer timeouts reach a session
// at its next sign-in.
func (p *Policy) shorten(rec *store.Record) bool {
	idle, absolute, since := p.IdleTimeout, p.AbsoluteTimeout, rec.Since
	unknown := since.IsZero() // a record of an older format
	if unknown {
		since = rec.Created
	}
	if unknown || rec.OwnIdle {
		idle = p.MaxIdle
	}
	if unknown || rec.OwnAbsolute {
		absolute = p.MaxAbsolute
	}
	before := *rec
	rec.Idle = min(rec.Idle, idle)
	mayBeLater := unknown && rec.Principal != "" // than it was created: it may have signed in since
	if end := since.Add(absolute); end.Before(rec.Absolute) && !mayBeLater {
		rec.Absolute = end
	}
	return rec.Idle != before.Idle || !rec.Absolute.Equal(before.Absolute)
}

// admitByPolicy applies the policy of today to a session that is being opened,
// and reports whether it is still alive. One that is not is ended in the store.
func (s *Session) admitByPolicy(ctx context.Context, rec *store.Record, now time.Time) (bool, error) {
	if !s.m.policy.shorten(rec) || rec.Alive(now) {
		return true, nil
	}
	if err := s.node.end(ctx, s.store, s.key, rec.EndsBy()); err != nil {
		return false, s.loadError(ctx, err)
	}
	return false, nil
}
