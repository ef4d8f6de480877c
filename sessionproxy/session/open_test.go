package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

func TestOpenStates(t *testing.T) {
	s := newSite(t, nil)
	live := s.Begin(`{"a":1}`)
	ended := s.Begin(`{"b":2}`)
	s.Commit(s.Open(ended), change.Changes{Destroy: true})
	rotated := s.Begin(`{"c":3}`)
	s.Commit(s.Open(rotated), change.Changes{Regenerate: true})
	second := live
	second.Nonce[0]++

	for _, tc := range []struct {
		name  string
		creds []session.Credential
		state session.State
		data  string
	}{
		{"no ticket", nil, session.New, `{}`},
		{"a live session", []session.Credential{live}, session.Active, `{"a":1}`},
		{"an ended session", []session.Credential{ended}, session.Expired, `{}`},
		{"a session that never was", []session.Credential{sessiontest.Credential()}, session.Expired, `{}`},
		{"a ticket that a login replaced", []session.Credential{rotated}, session.Expired, `{}`},
		{"two tickets, one is current", []session.Credential{ended, live}, session.Active, `{"a":1}`},
		{"two tickets of one session, one is current", []session.Credential{second, live}, session.Active, `{"a":1}`},
		{"two tickets, none is current", []session.Credential{ended, sessiontest.Credential()}, session.New, `{}`},
		{"two tickets, one is of a late tab", []session.Credential{ended, rotated}, session.Expired, `{}`},
		{"two current tickets", []session.Credential{live, s.Begin(`{"d":4}`)}, session.New, `{}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := s.Open(tc.creds...)
			if h.State() != tc.state || string(h.Data()) != tc.data {
				t.Fatalf("got %s %s", h.State(), h.Data())
			}
			if tc.state == session.Active {
				return
			}
			for _, c := range tc.creds {
				if h.ID() == c.ID {
					t.Fatal("the provisional id is that of a ticket that did not open")
				}
			}
		})
	}
}

func TestIdleAndAbsoluteExpiry(t *testing.T) {
	t.Run("idle, never early", func(t *testing.T) {
		s := newSite(t, nil)
		c := s.Begin(`{}`)
		for range 10 {
			s.clock.advance(30*time.Minute - time.Second)
			s.Data(c) // counts as activity
		}
		s.clock.advance(30*time.Minute + store.TouchSlack(30*time.Minute))
		if got := s.Open(c).State(); got != session.Expired {
			t.Fatalf("session is %s", got)
		}
	})
	t.Run("absolute, however active", func(t *testing.T) {
		s := newSite(t, nil)
		c := s.Begin(`{}`)
		for range 12*4 - 1 {
			s.clock.advance(15 * time.Minute)
			s.Commit(s.Open(c), add(t, `{"n":1}`))
		}
		s.clock.advance(15 * time.Minute)
		if got := s.Open(c).State(); got != session.Expired {
			t.Fatalf("session is %s", got)
		}
	})
	t.Run("while the request runs", func(t *testing.T) {
		s := newSite(t, nil)
		h := s.Open(s.Begin(`{}`))
		s.clock.advance(13 * time.Hour)
		s.refused(h, sessiontest.MergePatch(t, `{"late":1}`), session.ErrGone)
	})
	t.Run("a read-only request is no activity", func(t *testing.T) {
		s := newSite(t, nil)
		c := s.Begin(`{}`)
		s.clock.advance(20 * time.Minute)
		h, err := s.Manager.Open(t.Context(), session.Request{Credentials: []session.Credential{c}, ReadOnly: true})
		if err != nil || h.State() != session.Active {
			t.Fatal(err)
		}
		s.Commit(h, change.Changes{Touch: true})
		s.clock.advance(15 * time.Minute)
		if got := s.Open(c).State(); got != session.Expired {
			t.Fatalf("session is %s", got)
		}
	})
}

func TestStoreFailure(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		name string
		open bool
	}{{"closed", false}, {"open", true}} {
		t.Run("fail "+tc.name, func(t *testing.T) {
			s := newSite(t, func(p *session.Policy) { p.FailOpen = tc.open })
			c := s.Begin(`{"role":"staff"}`)
			s.Store.Before = func(string, store.Key) error { return broken }
			h, err := s.Manager.Open(t.Context(), session.Request{Credentials: []session.Credential{c}})
			if !tc.open {
				if !errors.Is(err, session.ErrUnavailable) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.State() != session.Unavailable || string(h.Data()) != `{}` {
				t.Fatalf("got %s %s", h.State(), h.Data())
			}
			if _, err := h.Commit(t.Context(), change.Changes{Destroy: true}); !errors.Is(err, session.ErrUnavailable) {
				t.Fatalf("a logout that did not happen: got %v", err)
			}
		})
	}
	t.Run("a failed commit is reported", func(t *testing.T) {
		s := newSite(t, nil)
		c := s.Begin(`{"n":1}`)
		h := s.Open(c)
		s.Store.Before = func(op string, _ store.Key) error { return broken }
		if _, err := h.Commit(t.Context(), sessiontest.MergePatch(t, `{"n":2}`)); !errors.Is(err, session.ErrUnavailable) {
			t.Fatalf("got %v", err)
		}
		s.Store.Before = nil
		if got := s.Data(c); got != `{"n":1}` {
			t.Fatalf("data is %s", got)
		}
	})
	t.Run("an unconfirmed save is repeated once", func(t *testing.T) {
		s := newSite(t, nil)
		c := s.Begin(`{"n":1}`)
		h := s.Open(c)
		calls := 0
		s.Store.Before = func(op string, _ store.Key) error {
			if calls++; calls == 1 {
				return store.ErrUnknown
			}
			return nil
		}
		s.Commit(h, sessiontest.MergePatch(t, `{"n":2}`))
		if got := s.Data(c); got != `{"n":2}` {
			t.Fatalf("data is %s", got)
		}
	})
}

// A passive request keeps no user signed in, unless it says so, or writes.
func TestPassive(t *testing.T) {
	for name, tc := range map[string]struct {
		changes change.Changes
		alive   bool
	}{
		"reading":  {change.Changes{}, false},
		"touching": {change.Changes{Touch: true}, true},
		"writing":  {sessiontest.MergePatch(t, `{"a":1}`), true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			c := s.Begin(`{}`)
			end := s.Open(c).Meta().Expires
			s.clock.advance(20 * time.Minute)
			h, err := s.Manager.Open(t.Context(), session.Request{Credentials: []session.Credential{c}, Passive: true})
			if err != nil {
				t.Fatal(err)
			}
			if got := h.Meta().Expires; !got.Equal(end) {
				t.Errorf("it expires %v later because of a passive request", got.Sub(end))
			}
			s.Commit(h, tc.changes)
			s.clock.advance(20 * time.Minute)
			if alive := s.Open(c).State() == session.Active; alive != tc.alive {
				t.Errorf("alive: %v, want %v", alive, tc.alive)
			}
		})
	}
}
