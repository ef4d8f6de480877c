package session_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

const rotateEvery, grace = 10 * time.Minute, 10 * time.Second

func rotating(p *session.Policy) { p.RotateEvery, p.RotateGrace = rotateEvery, grace }

// read is what the commit of a response that writes nothing asks for.
var read = change.Changes{CanSetTicket: true}

// carrying returns the changes of a response that can bring a ticket.
func carrying(c change.Changes) change.Changes {
	c.CanSetTicket = true
	return c
}

// open as an app's request of some kind.
func (s *site) openAs(r session.Request, creds ...session.Credential) *session.Session {
	s.T.Helper()
	r.Credentials = creds
	h, err := s.Manager.Open(s.T.Context(), r)
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(h.Rollback)
	return h
}

// due makes a session whose ticket is to be replaced.
func (s *site) due(data string) session.Credential {
	s.T.Helper()
	c := s.Begin(data)
	s.clock.advance(rotateEvery)
	return c
}

// replaces reports whether the browser gets another ticket than it has.
func replaces(out session.Outcome, has session.Credential) bool {
	return out.Ticket != nil && *out.Ticket != has
}

func TestWhatReplacesATicketByTimer(t *testing.T) {
	for _, tc := range []struct {
		name    string
		request session.Request
		changes change.Changes
		rotated bool
	}{
		{"reading", session.Request{}, read, true},
		{"writing", session.Request{}, carrying(sessiontest.MergePatch(t, `{"a":2}`)), true},
		{"a write that changes nothing", session.Request{}, carrying(sessiontest.MergePatch(t, `{"a":1}`)), true},
		{"a response that can carry none", session.Request{}, change.Changes{}, false},
		{"a write whose response can carry none", session.Request{}, sessiontest.MergePatch(t, `{"a":2}`), false},
		{"a read-only request", session.Request{ReadOnly: true}, read, false},
		{"a passive request", session.Request{Passive: true}, read, false},
		{"a passive request that counts after all", session.Request{Passive: true}, carrying(change.Changes{Touch: true}), true},
		{"a passive request that writes", session.Request{Passive: true}, carrying(sessiontest.MergePatch(t, `{"a":2}`)), true},
		{"a rollback", session.Request{}, carrying(change.Changes{Rollback: true}), false},
	} {
		for _, updater := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, updater %v", tc.name, updater), func(t *testing.T) {
				s := newHeard(t, updater, rotating, event.Rotate)
				c := s.Begin(`{"a":1}`)
				s.clock.advance(rotateEvery - 1)
				if out := s.Commit(s.openAs(tc.request, c), change.Changes{CanSetTicket: tc.changes.CanSetTicket}); replaces(out, c) || out.Rotated {
					t.Fatalf("before its time: %+v", out)
				}
				s.clock.advance(1)
				out := s.Commit(s.openAs(tc.request, c), tc.changes)
				if out.Rotated != tc.rotated || replaces(out, c) != tc.rotated {
					t.Fatalf("got %+v", out)
				}
				if !tc.rotated {
					if got := s.filed(); got != "" {
						t.Fatalf("filed %q", got)
					}
					return
				}
				if got := s.filed(); got != "rotate" {
					t.Errorf("filed %q", got)
				}
				if out.Ticket.Number != c.Number || out.Ticket.ID != c.ID || out.Ticket.Nonce == c.Nonce {
					t.Errorf("from %v to %v", c, out.Ticket)
				}
				if again := s.Commit(s.Open(*out.Ticket), read); replaces(again, *out.Ticket) || again.Rotated {
					t.Errorf("at once again: %+v", again)
				}
				s.clock.advance(rotateEvery)
				if out := s.Commit(s.Open(*out.Ticket), read); !out.Rotated {
					t.Errorf("the second time: %+v", out)
				}
			})
		}
	}
	t.Run("never, by default", func(t *testing.T) {
		s := newSite(t, nil)
		c := s.Begin(`{}`)
		s.clock.advance(20 * time.Minute)
		if out := s.Commit(s.Open(c), read); replaces(out, c) || s.Store.Calls("save") != 1 {
			t.Errorf("%+v, %d saves", out, s.Store.Calls("save"))
		}
	})
}

// TestThePreviousTicket: it enters for the grace, and every response to it
// carries the current one, whatever becomes of the request.
func TestThePreviousTicket(t *testing.T) {
	s := newSite(t, rotating)
	old := s.due(`{"a":1}`)
	current := *s.Commit(s.Open(old), read).Ticket
	for _, tc := range []struct {
		name    string
		request session.Request
		end     func(*session.Session) session.Outcome
	}{
		{"reading", session.Request{}, func(h *session.Session) session.Outcome { return s.Commit(h, read) }},
		{"reading, without a word about tickets", session.Request{}, func(h *session.Session) session.Outcome { return s.Commit(h, change.Changes{}) }},
		{"writing", session.Request{}, func(h *session.Session) session.Outcome { return s.Commit(h, sessiontest.MergePatch(t, `{"b":1}`)) }},
		{"passive", session.Request{Passive: true}, func(h *session.Session) session.Outcome { return s.Commit(h, read) }},
		{"read-only", session.Request{ReadOnly: true}, func(h *session.Session) session.Outcome { return s.Commit(h, read) }},
		{"a rollback by the app", session.Request{}, func(h *session.Session) session.Outcome {
			return s.Commit(h, change.Changes{Rollback: true, Ops: replace(`{}`).Ops})
		}},
		{"a failure of the app", session.Request{}, func(h *session.Session) session.Outcome { h.Rollback(); return h.Current(t.Context()) }},
		{"a commit that is refused", session.Request{}, func(h *session.Session) session.Outcome {
			if _, err := h.Commit(t.Context(), change.Changes{IfVersion: new("1-0000000000000001")}); !errors.Is(err, change.ErrConflict) {
				t.Fatal(err)
			}
			return h.Current(t.Context())
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := s.openAs(tc.request, old)
			if h.State() != session.Active {
				t.Fatalf("session is %s", h.State())
			}
			out := tc.end(h)
			if out.Ticket == nil || *out.Ticket != current || !out.Stale || out.Rotated || out.Lifetime <= 0 {
				t.Errorf("got %+v, want the ticket %v", out, current)
			}
			h = s.openAs(tc.request, current)
			if out := tc.end(h); out.Ticket != nil {
				t.Errorf("the current ticket is sent to who has it: %+v", out)
			}
		})
	}
	t.Run("a logout", func(t *testing.T) {
		s := newSite(t, rotating)
		old := s.due(`{}`)
		s.Commit(s.Open(old), read)
		h := s.Open(old)
		out := s.Commit(h, change.Changes{Destroy: true})
		if late := h.Current(t.Context()); out.Ticket != nil || !out.ClearTicket || !out.Destroyed || late.Ticket != nil {
			t.Errorf("got %+v, and then %+v", out, late)
		}
	})
	t.Run("a login", func(t *testing.T) {
		s := newSite(t, rotating)
		old := s.due(`{}`)
		current := *s.Commit(s.Open(old), read).Ticket
		other := s.Open(old)
		out := s.Commit(s.Open(old), change.Changes{Principal: new("alice")})
		if !out.Rotated || out.Ticket == nil {
			t.Fatalf("got %+v", out)
		}
		for name, c := range map[string]session.Credential{"previous": old, "one before": current} {
			if got := s.Open(c).State(); got != session.Expired {
				t.Errorf("after it the %s ticket is %s", name, got)
			}
		}
		if got := other.Current(t.Context()); got.Ticket != nil {
			t.Errorf("a late response undoes the login in the browser: %+v", got)
		}
		if got := s.Commit(other, read); got.Ticket != nil {
			t.Errorf("a late response undoes the login in the browser: %+v", got)
		}
	})
	t.Run("beside the current one", func(t *testing.T) {
		for _, creds := range [][]session.Credential{{old, current}, {current, old}} {
			h := s.Open(creds...)
			if out := s.Commit(h, read); h.State() != session.Active || out.Ticket != nil {
				t.Errorf("session is %s, %+v", h.State(), out)
			}
		}
	})
	t.Run("after the grace", func(t *testing.T) {
		s.clock.advance(grace - 1)
		s.Data(old)
		s.clock.advance(1)
		if got := s.Open(old).State(); got != session.Expired {
			t.Errorf("session is %s", got)
		}
		s.Data(current)
	})
}

// TestARequestOutlivesTheGrace: what was under way when the ticket was replaced
// by timer, once or more often, goes on; a login ends it all the same.
func TestARequestOutlivesTheGrace(t *testing.T) {
	for _, rotations := range []int{1, 3} {
		for _, login := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d rotations, login %v", rotations, login), func(t *testing.T) {
				s := newSite(t, rotating)
				c := s.Begin(`{"a":1}`)
				writer, stream, fresh := s.Open(c), s.Open(c), s.Open(c)
				s.Commit(stream, change.Changes{})
				for i := range rotations {
					s.clock.advance(rotateEvery)
					c = *s.Commit(s.Open(c), read).Ticket
					if login && i == 0 {
						c = *s.Commit(s.Open(c), change.Changes{Principal: new("alice")}).Ticket
					}
				}
				s.clock.advance(grace)
				again, errAgain := stream.Reopen(t.Context())
				if errAgain == nil {
					s.Stage(again, sessiontest.MergePatch(t, `{"s":1}`))
					s.Commit(again, change.Changes{})
				}
				errRefresh := fresh.Refresh(t.Context())
				out, errWrite := writer.Commit(t.Context(), sessiontest.MergePatch(t, `{"b":1}`))
				for name, err := range map[string]error{"commit": errWrite, "again": errAgain, "refresh": errRefresh} {
					if login != errors.Is(err, session.ErrGone) || !login && err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				want := `{"a":1,"s":1,"b":1}`
				if login {
					want = `{"a":1}`
				} else if out.Ticket == nil || *out.Ticket != c {
					t.Errorf("the browser is not told: %+v", out)
				}
				if got := s.Data(c); got != want {
					t.Errorf("data is %s", got)
				}
			})
		}
	}
}

// TestARotationIsNoNewVersion: it conflicts with nothing, and what an app
// remembers of the version still holds.
func TestARotationIsNoNewVersion(t *testing.T) {
	for _, updater := range []bool{false, true} {
		t.Run(fmt.Sprintf("updater %v", updater), func(t *testing.T) {
			s := newHeard(t, updater, func(p *session.Policy) { rotating(p); p.Locking = session.Optimistic })
			c := s.due(`{"a":1}`)
			shown := s.Open(c).Meta().Version.String()
			open := s.Open(c)
			c = *s.Commit(s.Open(c), read).Ticket
			if s.Open(c).Meta().Version.String() == shown {
				t.Fatal("the store has seen no save")
			}
			demanding := sessiontest.MergePatch(t, `{"b":1}`)
			demanding.IfVersion = &shown
			s.Commit(open, demanding)
			s.refused(s.Open(c), demanding, change.ErrIfVersion)

			c = s.due(`{"a":1}`)
			shown = s.Open(c).Meta().Version.String()
			demanding.IfVersion = &shown
			c = *s.Commit(s.Open(c), read).Ticket
			s.Commit(s.Open(c), demanding)
			if got := s.Data(c); got != `{"a":1,"b":1}` {
				t.Errorf("data is %s", got)
			}
		})
	}
}
