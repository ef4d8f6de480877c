package session

import (
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// planTimer notes that the current ticket has arrived, or replaces one that is due,
// and reports whether it did. carries says that the response can bring a new
// one. Of requests at once one replaces it, and all of them carry the new one.
func (s *Session) planTimer(p *commitPlan, carries bool) bool {
	switch {
	case p.rotated:
	case s.arrives(&p.Record, p.at):
		s.m.policy.presented(&p.Record, p.at)
		return true
	case s.rotationDue(carries, &p.Record, p.at):
		s.m.policy.rotate(&p.Record, p.at)
		p.rotated = true
		return true
	}
	return false
}

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

// arrives reports whether the request brings the current ticket for the first
// time since the timer replaced one, as far as the record knows.
func (s *Session) arrives(rec *store.Record, now time.Time) bool {
	return s.exists() && !s.readOnly && !s.further && s.m.policy.unseen(s.cred, rec, now)
}
