package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

func TestOpenStates(t *testing.T) {
	s := newSite(t, nil)
	live := s.begin(`{"a":1}`)
	ended := s.begin(`{"b":2}`)
	s.commit(s.open(ended), session.Changes{Destroy: true})
	rotated := s.begin(`{"c":3}`)
	s.commit(s.open(rotated), session.Changes{Regenerate: true})
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
		{"a session that never was", []session.Credential{mint()}, session.Expired, `{}`},
		{"a ticket that a login replaced", []session.Credential{rotated}, session.Expired, `{}`},
		{"two tickets, one is current", []session.Credential{ended, live}, session.Active, `{"a":1}`},
		{"two tickets of one session, one is current", []session.Credential{second, live}, session.Active, `{"a":1}`},
		{"two tickets, none is current", []session.Credential{ended, mint()}, session.New, `{}`},
		{"two tickets, one is of a late tab", []session.Credential{ended, rotated}, session.Expired, `{}`},
		{"two current tickets", []session.Credential{live, s.begin(`{"d":4}`)}, session.New, `{}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := s.open(tc.creds...)
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
		c := s.begin(`{}`)
		for range 10 {
			s.clock.advance(30*time.Minute - time.Second)
			s.data(c) // counts as activity
		}
		s.clock.advance(30*time.Minute + store.TouchSlack(30*time.Minute))
		if got := s.open(c).State(); got != session.Expired {
			t.Fatalf("session is %s", got)
		}
	})
	t.Run("absolute, however active", func(t *testing.T) {
		s := newSite(t, nil)
		c := s.begin(`{}`)
		for range 12*4 - 1 {
			s.clock.advance(15 * time.Minute)
			s.commit(s.open(c), add(t, `{"n":1}`))
		}
		s.clock.advance(15 * time.Minute)
		if got := s.open(c).State(); got != session.Expired {
			t.Fatalf("session is %s", got)
		}
	})
	t.Run("while the request runs", func(t *testing.T) {
		s := newSite(t, nil)
		h := s.open(s.begin(`{}`))
		s.clock.advance(13 * time.Hour)
		s.refused(h, patch(t, `{"late":1}`), session.ErrGone)
	})
	t.Run("a read-only request is no activity", func(t *testing.T) {
		s := newSite(t, nil)
		c := s.begin(`{}`)
		s.clock.advance(20 * time.Minute)
		h, err := s.m.Open(t.Context(), session.Request{Credentials: []session.Credential{c}, ReadOnly: true})
		if err != nil || h.State() != session.Active {
			t.Fatal(err)
		}
		s.commit(h, session.Changes{Touch: true})
		s.clock.advance(15 * time.Minute)
		if got := s.open(c).State(); got != session.Expired {
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
			c := s.begin(`{"role":"staff"}`)
			s.store.Before = func(string, store.Key) error { return broken }
			h, err := s.m.Open(t.Context(), session.Request{Credentials: []session.Credential{c}})
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
			if _, err := h.Commit(t.Context(), session.Changes{Destroy: true}); !errors.Is(err, session.ErrUnavailable) {
				t.Fatalf("a logout that did not happen: got %v", err)
			}
		})
	}
	t.Run("a failed commit is reported", func(t *testing.T) {
		s := newSite(t, nil)
		c := s.begin(`{"n":1}`)
		h := s.open(c)
		s.store.Before = func(op string, _ store.Key) error { return broken }
		if _, err := h.Commit(t.Context(), patch(t, `{"n":2}`)); !errors.Is(err, session.ErrUnavailable) {
			t.Fatalf("got %v", err)
		}
		s.store.Before = nil
		if got := s.data(c); got != `{"n":1}` {
			t.Fatalf("data is %s", got)
		}
	})
	t.Run("an unconfirmed save is repeated once", func(t *testing.T) {
		s := newSite(t, nil)
		c := s.begin(`{"n":1}`)
		h := s.open(c)
		calls := 0
		s.store.Before = func(op string, _ store.Key) error {
			if calls++; calls == 1 {
				return store.ErrUnknown
			}
			return nil
		}
		s.commit(h, patch(t, `{"n":2}`))
		if got := s.data(c); got != `{"n":2}` {
			t.Fatalf("data is %s", got)
		}
	})
}

// A passive request keeps nobody signed in, unless it says so, or writes.
func TestPassive(t *testing.T) {
	for name, tc := range map[string]struct {
		changes session.Changes
		alive   bool
	}{
		"reading":  {session.Changes{}, false},
		"touching": {session.Changes{Touch: true}, true},
		"writing":  {patch(t, `{"a":1}`), true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			c := s.begin(`{}`)
			end := s.open(c).Meta().Expires
			s.clock.advance(20 * time.Minute)
			h, err := s.m.Open(t.Context(), session.Request{Credentials: []session.Credential{c}, Passive: true})
			if err != nil {
				t.Fatal(err)
			}
			if got := h.Meta().Expires; !got.Equal(end) {
				t.Errorf("it expires %v later because of a passive request", got.Sub(end))
			}
			s.commit(h, tc.changes)
			s.clock.advance(20 * time.Minute)
			if alive := s.open(c).State() == session.Active; alive != tc.alive {
				t.Errorf("alive: %v, want %v", alive, tc.alive)
			}
		})
	}
}
