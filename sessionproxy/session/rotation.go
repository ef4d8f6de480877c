package session

import (
	"context"
	"errors"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/store"
)

// rotationDue reports whether the ticket of a session in use is to be replaced
// by timer now; carries says that the response can bring the new one. Only a
// request with the current ticket rotates it, and not while the previous one
// is good. A clock that was set back by more than the period does not stop it.
func (s *Session) rotationDue(carries bool, rec *store.Record, now time.Time) bool {
	every := s.m.policy.RotateEvery
	if every == 0 || !carries || s.readOnly || !s.exists() || s.cred.Nonce != rec.Nonce {
		return false
	}
	age := now.Sub(rec.Rotated)
	return age <= -every || age >= every && !now.Before(rec.PreviousUntil)
}

// unchanged is the outcome of a request that wrote nothing. A ticket that is
// due is replaced, unless the request is no activity; one that arrives for the
// first time is noted, and so are timeouts that the policy of today shortens.
func (s *Session) unchanged(ctx context.Context, carries bool) Outcome {
	now := s.m.now()
	carries = carries && !s.passive
	if s.rotationDue(carries, &s.rec, now) || s.arrives(&s.rec, now) || s.shortened && !s.readOnly {
		return s.rotateAlone(ctx, carries, now)
	}
	return s.current(ctx)
}

// arrives reports whether the request brings the current ticket for the first
// time since the timer replaced one, as far as the record knows.
func (s *Session) arrives(rec *store.Record, now time.Time) bool {
	return s.exists() && !s.readOnly && s.m.policy.unseen(s.cred, rec, now)
}

// rotateAlone replaces the ticket, or notes that it has arrived, shortens
// timeouts by the policy of today, and changes nothing else: what apps know as the version of the session stays, too. Of
// requests at once one does it, and all of them carry the ticket. If it fails
// the old ticket stays, and the next request tries again.
func (s *Session) rotateAlone(ctx context.Context, carries bool, now time.Time) Outcome {
	var current store.Record
	var w commitPlan
	change := func(rec store.Record) (store.Write, error) {
		current, w = rec, commitPlan{}
		shortened := s.m.policy.shorten(&rec)
		switch {
		case rec.Incarnation != s.rec.Incarnation || !s.cred.sameLogin(&rec):
			return store.Write{}, ErrGone
		case s.arrives(&rec, now):
			s.m.policy.presented(&rec, now)
		case s.rotationDue(carries, &rec, now):
			s.m.policy.rotate(&rec, now)
			w.rotated = true
		case shortened:
		default:
			return store.Write{}, errNothingLeft
		}
		rec.Version = rec.Version.NextMinor()
		w.Record = rec
		s.attachEvents(&w, &change.Changes{}, rec.Data)
		return w.Write, nil
	}
	var rec store.Record
	err := twice(func() (err error) {
		rec, err = s.update(ctx, change) // finds it done, or does it
		return err
	})
	if _, ok := store.As[store.Updater](s.store); !ok && err == nil {
		// Two that rotate one version make the same new one, and a store takes
		// the second save for a repetition of the first.
		rec, err = s.store.Load(ctx, s.key)
	}
	switch {
	case errors.Is(err, errNothingLeft):
		rec = current
	case err != nil || !s.cred.sameLogin(&rec):
		return Outcome{}
	}
	out := Outcome{Rotated: w.rotated && rec.Nonce == w.Nonce}
	if out.Rotated {
		s.publish(&w, now)
	}
	if !out.Rotated && !s.renewTicket && s.cred.Nonce == rec.Nonce {
		return out
	}
	return s.ticketed(out, &rec, now)
}

// current is the outcome of a request that stores nothing: the ticket, if the
// one that the browser has is not the current one, or if a new lifetime is
// due, but not over that of a login, or a logout, meanwhile.
func (s *Session) current(ctx context.Context) Outcome {
	if !s.exists() || !s.renewTicket && s.cred.Nonce == s.rec.Nonce {
		return Outcome{}
	}
	rec, err := s.store.Load(ctx, s.key)
	if err != nil || rec.Incarnation != s.rec.Incarnation || !s.cred.sameLogin(&rec) {
		return Outcome{} // the next request gets it, or does not need it
	}
	return s.ticketed(Outcome{}, &rec, s.opened)
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
	return s.current(ctx)
}
