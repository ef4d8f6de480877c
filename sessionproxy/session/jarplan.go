package session

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/store"
)

// jarPlan is the part of a plan that concerns the cookie jar.
type jarPlan struct {
	kept    keptJar
	before  time.Time // kept.remember of the record that is replaced
	changed bool      // kept is to be stored
	login   bool      // the client was signed in, as far as can be seen
	ended   bool      // the last cookie went, or all are to
	counts  jar.Counts
}

// planJar decides what the cookies of a response, and the replacement of
// the ticket, make of the jar in the record as it is stored now. It returns nil if that
// is nothing.
func (s *Session) planJar(c *change.Changes, current *store.Record, at time.Time) *jarPlan {
	if s.jar == nil || c.Cookies == nil && !c.Rotates() {
		return nil
	}
	p := &jarPlan{kept: s.keptIn(current)}
	now := p.kept.jar
	p.before = p.kept.remember
	shown := true // the past, after a replacement
	if w := c.Cookies; w != nil {
		m := jar.Moment{At: at}
		if s.exists() && inLateWindow(current, at) {
			m.Replaced = current.Rotated
		}
		merged := jar.Merge(now, w.Wishes, m)
		if p.counts = merged.Counts; merged.Changed {
			p.kept.jar, p.kept.remember, p.changed = merged.Jar, merged.Remember, true
		}
		p.login = s.exists() && (merged.Login || w.Login)
		p.ended = s.exists() && (w.End || merged.Emptied)
		shown = !w.Login
	}
	switch {
	case !s.exists():
		p.changed = p.changed || now != nil
	case p.login || c.Rotates():
		p.kept.login, p.kept.form = [loginPart]byte(current.Nonce[:]), s.jar.form
		if p.kept.jar = p.kept.jar.WithPast(now, at); !shown {
			p.kept.jar, p.kept.form = p.kept.jar.WithoutPast(), formID{}
		}
		p.changed = p.changed || now != nil
	}
	return p
}

// endsBy reports whether the session ends with its cookies.
func (p *commitPlan) endsBy(c *change.Changes) bool {
	return p.jar != nil && p.jar.ended &&
		(c.Cookies.End || bytes.Equal(p.Data, emptyData) && p.Principal == "" && !c.Writes())
}

// applyJar puts the jar into the record, and has the session last as long as
// it asks for, capped by the policy.
func (s *Session) applyJar(p *commitPlan, c *change.Changes) {
	j, policy := p.jar, &s.m.policy
	if j.login && c.Cookies.Login {
		p.Absolute, p.Since, p.OwnAbsolute = p.at.Add(policy.AbsoluteTimeout), p.at, false
	}
	switch until := j.kept.remember; {
	case until.After(p.at):
		if idle := min(until.Sub(p.at), policy.MaxIdle); idle > p.Idle {
			p.Idle, p.OwnIdle = idle, true
		}
		if end := p.Since.Add(policy.MaxAbsolute); until.After(p.Absolute) && end.After(p.Absolute) {
			if until.Before(end) {
				end = until
			}
			p.Absolute, p.OwnAbsolute = end, true
		}
	case j.before.After(p.at): // forgotten: the timeouts begin anew, and never end later than before
		p.Idle, p.OwnIdle = min(p.Idle, policy.IdleTimeout), false
		if end := p.at.Add(policy.AbsoluteTimeout); end.Before(p.Absolute) {
			p.Absolute, p.Since, p.OwnAbsolute = end, p.at, false
		}
	}
	if j.changed {
		s.keepIn(&p.Record, j.kept)
	}
}

// dropCookies counts cookies that no session takes.
func (s *Session) dropCookies(c *change.Changes) *jarPlan {
	if c.Cookies == nil {
		return nil
	}
	p := &jarPlan{kept: s.jar.kept, before: s.jar.kept.remember}
	p.counts[jar.DroppedNoSession] = c.Cookies.Wishes.Len()
	return p
}

// dropped is the outcome of cookies that no session takes.
func (s *Session) dropped(c *change.Changes) Outcome {
	return Outcome{Cookies: &s.dropCookies(c).counts}
}

// remembers reports whether the record's ticket is to outlast the browser.
func (s *Session) remembers(p *commitPlan) bool {
	switch {
	case s.jar == nil:
		return false
	case p.jar != nil:
		return p.jar.kept.remember.After(p.at)
	}
	return s.keptIn(&p.Record).remember.After(p.at)
}

// commitCookies commits the cookies of a response whose other writes were
// refused. It returns the error of these, or none if there were none: cookies for
// a session that has ended, or of a request whose ticket was replaced, are
// dropped, but for what deleteLate does.
func (s *Session) commitCookies(ctx context.Context, c change.Changes, refused error) (out Outcome, err error) {
	switch {
	case c.Cookies.Handed && errors.Is(refused, change.ErrConflict) && !errors.Is(refused, change.ErrIfVersion):
		return Outcome{}, refused
	case errors.Is(refused, ErrUnavailable):
		if s.m.policy.FailOpen && !c.Writes() {
			return s.dropped(&c), nil
		}
		return Outcome{}, refused
	}
	alone, err := change.Changes{Rollback: true, Cookies: c.Cookies}, refused
	if c.Writes() {
		out, err = s.carryOut(ctx, alone)
	}
	switch {
	case s.late || !errors.Is(err, ErrReplaced):
	case c.Cookies.Begin && c.Cookies.Login: // but what it was given may belong to the other login by now
		s.jar.given = nil
		out, err = s.beginAnew(ctx, alone)
	case c.Cookies.Begin && s.sentTwice(ctx):
		out, err = s.beginAnew(ctx, alone)
	default:
		out, err = s.deleteLate(ctx, &c, s.cred)
	}
	if errors.Is(err, ErrGone) {
		out, err = s.dropped(&c), nil
	}
	if c.Writes() {
		return out, refused
	}
	return out, err
}
