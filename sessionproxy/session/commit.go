package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/store"
)

// Commit ends the handle and writes what is staged and then the changes, all
// or nothing. When it returns without an error they are as durable as the store promises.
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
	if c.Rollback {
		if c.Writes() {
			s.publishRollback()
		}
		return s.current(ctx), nil
	}
	if err := s.refuses(&c); err != nil {
		return Outcome{}, err
	}
	if s.lockLate && !s.locked && s.exists() && c.Writes() {
		if err := s.lock(ctx, false); err != nil {
			return Outcome{}, err
		}
	}
	switch {
	case s.late && !c.Writes() || s.state == Unavailable:
		return Outcome{}, nil
	case s.readOnly:
		return s.current(ctx), nil
	case c.Destroy:
		return s.destroy(ctx)
	case c.Touch && s.exists(): // also later than the opening, which may have counted
		s.passive = false
		if err := s.touch(ctx, s.opened); err != nil {
			return Outcome{}, err
		}
	}
	if c.None() && !s.m.policy.CreateAlways {
		return s.unchanged(ctx, c.CanSetTicket), nil
	}
	out, err = s.save(ctx, c)
	if errors.Is(err, ErrReplaced) && c.Proves() {
		if fresh, anew := s.saveAnew(ctx, c); anew == nil {
			return fresh, nil
		}
	}
	return out, err
}

// saveAnew begins a fresh session with the changes, for a sign-in whose ticket
// was replaced while the request ran: of two sign-ins sent at once both are
// answered with a ticket that is signed in. The data that the request was
// shown stays with the other session.
func (s *Session) saveAnew(ctx context.Context, c change.Changes) (Outcome, error) {
	s.unlock()
	fresh := &Session{
		m: s.m, store: s.store, node: s.node, passive: s.passive, attempt: s.attempt, holder: s.holder, traced: s.traced, ended: true,
	}
	fresh.startNew(Expired)
	out, err := fresh.save(ctx, c)
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

func (s *Session) destroy(ctx context.Context) (Outcome, error) {
	out := Outcome{ClearTicket: true}
	s.destroyed = true
	if !s.exists() {
		return out, nil
	}
	end := store.End{Reason: store.Destroyed, Listeners: s.m.subscribers.end}
	if err := s.node.end(ctx, s.store, s.key, end); err != nil {
		s.destroyed = false
		return Outcome{}, unavailable("destroying session", err)
	}
	out.Destroyed = true
	return out, nil
}

// save makes the first attempt, against the record as it was loaded.
func (s *Session) save(ctx context.Context, changes change.Changes) (Outcome, error) {
	c := &changes
	if err := c.Allow(s.rec.Version); err != nil {
		return Outcome{}, err
	}
	now := s.m.now()
	nonce := newNonceIf(c.Rotates())
	next, changed, err := s.nextRecord(c, &s.rec, nonce, now)
	if err != nil {
		return Outcome{}, err
	}
	if !changed {
		return s.sameAsLoaded(ctx, c)
	}
	cond := store.IfVersion(s.rec.Version)
	if !s.exists() {
		cond = store.Create()
	}
	err = twice(func() error { return s.store.Save(ctx, s.key, next.Write, cond) })
	switch {
	case err == nil:
		return s.saved(&next, &next.Record, now), nil
	case errors.Is(err, store.ErrConflict) && s.exists():
		return s.reapply(ctx, c, nonce)
	default:
		return Outcome{}, saveError(err)
	}
}

// sameAsLoaded settles a commit that changes nothing of what was loaded. If
// others have changed that meanwhile it is a change after all.
func (s *Session) sameAsLoaded(ctx context.Context, c *change.Changes) (Outcome, error) {
	if s.exists() && (len(c.Ops) > 0 || c.IfVersion != nil) {
		current, err := s.store.Load(ctx, s.key)
		if err != nil {
			return Outcome{}, saveError(err)
		}
		if current.Version != s.rec.Version {
			return s.reapply(ctx, c, [16]byte{})
		}
	}
	return s.unchanged(ctx, c.CanSetTicket), nil
}

// saved is the outcome of a request whose record was written.
func (s *Session) saved(w *commitPlan, rec *store.Record, now time.Time) Outcome {
	out := Outcome{Saved: true, Created: w.created, Rotated: w.rotated}
	s.publish(w, now)
	if out.Created || out.Rotated || s.renewTicket || s.cred.Nonce != rec.Nonce {
		out = s.ticketed(out, rec, now)
	}
	s.created, s.cred.Nonce = out.Created, rec.Nonce
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

func saveError(err error) error {
	switch {
	case errors.Is(err, store.ErrGone):
		return fmt.Errorf("committing session: %w", ErrGone)
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("committing session: %w", change.ErrConflict)
	case errors.Is(err, store.ErrLimit):
		return fmt.Errorf("committing session: %w", ErrPrincipalLimit)
	}
	for _, own := range []error{ErrGone, change.ErrConflict, change.ErrTooLarge, change.ErrBadWrite, change.ErrNoPath} {
		if errors.Is(err, own) {
			return err
		}
	}
	return unavailable("committing session", err)
}

func newNonceIf(wanted bool) (nonce [16]byte) {
	if wanted {
		return newNonce()
	}
	return nonce
}
