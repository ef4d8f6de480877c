package handler

import (
	"errors"
	"fmt"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// PrincipalLimit is how many sessions a principal may have, and what happens beyond.
type PrincipalLimit struct {
	// Sessions is how many there may be, at least 1. Required.
	Sessions int `json:"sessions,omitempty"`

	// Beyond says what happens to a sign-in beyond that: `evict_oldest` ends
	// the session that began first; `refuse` answers 409. Required.
	Beyond string `json:"beyond,omitempty"`
}

// rotation translates the rotation of tickets by timer.
func (h *Handler) rotation(p *session.Policy) error {
	if h.RotateEvery != 0 {
		p.RotateEvery, p.RotateGrace = time.Duration(h.RotateEvery), time.Duration(*h.RotateGrace)
	} else if h.RotateGrace != nil {
		return errors.New("rotate_grace needs rotate_every")
	}
	return nil
}

// translate translates the limit; nil is none.
func (l *PrincipalLimit) translate(p *session.Policy) error {
	if l == nil {
		return nil
	}
	if l.Sessions < 1 {
		return fmt.Errorf("max_per_principal is at least 1, not %d", l.Sessions)
	}
	if l.Beyond != evictOldest && l.Beyond != refuseSignIn {
		return fmt.Errorf("beyond max_per_principal sessions a sign-in is to %s or %s, not %q", evictOldest, refuseSignIn, l.Beyond)
	}
	p.MaxPerPrincipal, p.EvictOldest = l.Sessions, l.Beyond == evictOldest
	return nil
}
