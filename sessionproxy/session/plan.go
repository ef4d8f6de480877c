package session

import (
	"bytes"
	"fmt"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/store"
)

// step is what a plan has the store do.
type step int

const (
	stepNone  step = iota // nothing
	stepMinor             // save what is no new version for apps: a ticket replaced by timer, its arrival, shorter timeouts
	stepSave              // save a new version
	stepEnd               // end the session
)

// commitPlan is what a commit stores over one record, and what that does. It
// is made by plan, again for each newer record that the store turns out to
// hold, and carried out by persist.
type commitPlan struct {
	// Write holds the record as it is to be stored; for stepNone, as it is.
	store.Write
	step step
	at   time.Time
	// The session is begun; its data is changed; its ticket is replaced.
	created, saved, rotated bool
	// The record is newer than the loaded one; the changes undo some of what
	// others have written.
	reapplied, overwrote bool
	jar                  *jarPlan // nil if that is not concerned
	// The record is not known to be that of the browser's ticket.
	unconfirmed bool
}

// plan decides what the changes make of a record. A part of the record that
// commits can change is a part of it: data, jar, ticket, account, timer.
func (s *Session) plan(c *change.Changes, current *store.Record) (commitPlan, error) {
	p := commitPlan{at: s.m.now()}
	p.Record = *current
	switch {
	case c.Rollback && c.Cookies == nil, s.readOnly, s.state == Unavailable,
		s.late && !c.Writes() && !s.beginsApart(c):
		p.jar = s.dropCookies(c)
		return p, nil
	case c.Destroy:
		p.step = stepEnd
		return p, nil
	}
	if err := s.mayBuildOn(c, current); err != nil {
		return p, err
	}
	data, err := s.rebase(c, current)
	if err != nil {
		return p, err
	}
	p.jar = s.planJar(c, current, p.at)
	newer := current.Version != s.rec.Version
	changed, shortened := false, false
	if s.exists() {
		shortened = s.m.policy.shorten(&p.Record) || s.shortened && !newer
	} else {
		changed = s.m.policy.CreateAlways && !c.Rollback || createsSession(c, data)
		p.created = changed
		s.initRecord(&p.Record, p.at)
	}
	if !bytes.Equal(data, p.Data) {
		p.Data, p.Written, p.saved = data, p.at, true
	}
	if s.exists() && (c.Rotates() || p.jar != nil && p.jar.login) {
		replaceTicket(&p.Record, newNonce(), p.at)
		p.rotated = true
	}
	limited := s.applyAccount(&p.Record, c, p.at) && s.exists()
	changed = changed || p.saved || p.rotated || limited || s.exists() && p.jar != nil && p.jar.changed
	switch {
	case p.jar == nil:
	case p.endsBy(c):
		p.step = stepEnd
		return p, nil
	case changed:
		s.applyJar(&p, c)
	case !s.exists():
		p.jar = s.dropCookies(c)
	}
	p.reapplied = newer && c.Writes()
	turned := s.planTimer(&p, c.CanSetTicket && (changed || !s.passive))
	switch {
	case changed:
		p.step, p.Version = stepSave, current.Version.Next()
		if p.at.After(p.Accessed) {
			p.Accessed = p.at
		}
	case turned, shortened:
		p.step, p.Version = stepMinor, current.Version.NextMinor()
	default:
		return p, nil
	}
	s.attachEvents(&p, c, current.Data)
	return p, nil
}

// mayBuildOn refuses changes that were made for another record, whatever the
// data is.
func (s *Session) mayBuildOn(c *change.Changes, current *store.Record) error {
	if s.exists() {
		switch {
		case current.Incarnation != s.rec.Incarnation:
			return ErrGone
		case !s.cred.sameLogin(current):
			return fmt.Errorf("committing session: %w", ErrReplaced)
		}
	}
	return c.Allow(current.Version)
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

// createsSession reports whether the changes, applied to a session that does not
// exist, are a reason to begin one. Turning over a ticket or a timeout of
// nothing is not.
func createsSession(c *change.Changes, data []byte) bool {
	return c.Cookies != nil && c.Cookies.Begin || c.Replaces() || !bytes.Equal(data, emptyData) || c.SignsIn()
}
