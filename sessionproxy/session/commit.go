package session

import (
	"context"
	"errors"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
)

// Commit ends the handle and writes what is staged and then the changes, all
// or nothing, but for cookies: see change.Cookies. The outcome is theirs if
// there is an error. When it returns without an error they are as durable as the store promises.
//
// Errors wrap ErrConflict, ErrGone, ErrLocked (of Request.LockLate), ErrReadOnly, ErrTooLarge, ErrBadWrite,
// ErrPrincipalLimit, ErrUnavailable or ErrObsolete; nothing was changed then, save that after
// ErrUnavailable because of an unconfirmed write it may have been.
func (s *Session) Commit(ctx context.Context, c change.Changes) (out Outcome, err error) {
	ctx, t := s.traceCommit(ctx)
	defer func() { t.end(s, out.did(), err) }()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return Outcome{}, ErrObsolete
	}
	defer s.end()
	if c = s.pending.Then(c); len(c.Ops) > 1 {
		c.CompactAdditions()
	}
	if s.jar == nil {
		c.Cookies = nil
	}
	if c.Rollback {
		if c.Writes() {
			s.publishRollback()
		}
		c = change.Changes{Rollback: true, Cookies: c.Cookies, CanSetTicket: c.CanSetTicket && c.Cookies != nil}
	}
	if err = s.prepare(ctx, &c); err == nil {
		out, err = s.carryOut(ctx, c)
	}
	if errors.Is(err, ErrReplaced) && c.Proves() {
		if fresh, anew := s.beginAnew(ctx, c); anew == nil {
			return fresh, nil
		}
	}
	if err != nil && c.Cookies != nil {
		out, err = s.commitCookies(ctx, c, err)
	}
	if s.late && c.Cookies != nil && !out.Created {
		return s.commitLate(ctx, &c, out, err)
	}
	return out, err
}

// prepare does what comes before any write: it refuses changes that the
// session does not take, takes a lock that was left for now, and counts activity.
func (s *Session) prepare(ctx context.Context, c *change.Changes) error {
	if err := s.refuses(c); err != nil {
		return err
	}
	if s.lockLate && !s.locked && s.exists() && c.Writes() {
		if err := s.lock(ctx, false); err != nil {
			return err
		}
	}
	if c.Touch && !c.Destroy && s.exists() && !s.readOnly { // also later than the opening, which may have counted
		s.passive = false
		return s.touch(ctx, s.opened)
	}
	return nil
}

// carryOut is every commit: a plan for the record as it was loaded, what the
// store makes of it, and what the browser has to learn.
func (s *Session) carryOut(ctx context.Context, c change.Changes) (Outcome, error) {
	p, err := s.plan(&c, &s.rec)
	if err == nil {
		p, err = s.persist(ctx, c, p)
	}
	if err != nil {
		return Outcome{}, err
	}
	return s.outcome(&p), nil
}

// beginAnew begins a fresh session with the changes, for a sign-in whose ticket
// was replaced while the request ran: of two sign-ins sent at once both are
// answered with a ticket that is signed in. The data that the request was
// shown stays with the other session.
func (s *Session) beginAnew(ctx context.Context, c change.Changes) (Outcome, error) {
	s.unlock()
	fresh := &Session{
		m: s.m, store: s.store, node: s.node, passive: s.passive, attempt: s.attempt, holder: s.holder, traced: s.traced, ended: true,
		jar: s.jar.derived(),
	}
	fresh.startNew(Expired)
	out, err := fresh.carryOut(ctx, c)
	if err == nil {
		s.successor = fresh
	}
	return out, err
}

// Successor returns the session that the commit began in place of this one,
// or this one. Further handles are opened from it.
func (s *Session) Successor() *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.successor != nil {
		return s.successor
	}
	return s
}

// Current returns what the browser has to learn whatever becomes of the
// request: the current ticket, if it came with one that was replaced by timer.
// It works on a handle that has ended, too.
func (s *Session) Current(ctx context.Context) Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.exists() || s.destroyed || s.cred.Nonce == s.rec.Nonce {
		return Outcome{}
	}
	st, _, err := s.m.provider.Acquire()
	if err != nil {
		return Outcome{}
	}
	defer s.m.provider.Release()
	s.store = st
	out, _ := s.carryOut(ctx, change.Changes{Rollback: true}) // has no error: it asks for nothing
	return out
}
