package session_test

import (
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// TestJarsEndTakesNoAcknowledgedWrite: what another request saves after the
// end was decided, and before it has happened, is refused, and not lost.
func TestJarsEndTakesNoAcknowledgedWrite(t *testing.T) {
	onJarSites(t, nil, func(t *testing.T, s *jarSite) {
		cred := s.begin("sid=1")
		other := s.open(script, &cred)
		var saved session.Outcome
		var refused error
		s.store.onDelete = func() { saved, refused = other.Commit(t.Context(), replace(`{"a":1}`)) }
		if out := s.open(page, &cred).answer("sid=; Max-Age=0"); !out.Destroyed || !out.ClearTicket {
			t.Fatalf("the last cookie goes: %+v", out)
		}
		if refused == nil || saved.Saved {
			t.Errorf("another request was told that it has saved, and its session is gone: %+v", saved)
		}
		s.isGone(cred)
	})
}
