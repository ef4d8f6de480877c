package session_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

const rotateEvery, grace = 10 * time.Minute, 10 * time.Second

func rotating(p *session.Policy) { p.RotateEvery, p.RotateGrace = rotateEvery, grace }

// read is what the commit of a response that writes nothing asks for.
var read = session.Changes{Carries: true}

// carrying returns the changes of a response that can bring a ticket.
func carrying(c session.Changes) session.Changes {
	c.Carries = true
	return c
}

// open as an app's request of some kind.
func (s *site) openAs(r session.Request, creds ...session.Credential) *session.Session {
	s.t.Helper()
	r.Credentials = creds
	h, err := s.m.Open(s.t.Context(), r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(h.Rollback)
	return h
}

// due makes a session whose ticket is to be replaced.
func (s *site) due(data string) session.Credential {
	s.t.Helper()
	c := s.begin(data)
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
		changes session.Changes
		rotated bool
	}{
		{"reading", session.Request{}, read, true},
		{"writing", session.Request{}, carrying(patch(t, `{"a":2}`)), true},
		{"a write that changes nothing", session.Request{}, carrying(patch(t, `{"a":1}`)), true},
		{"a response that can carry none", session.Request{}, session.Changes{}, false},
		{"a write whose response can carry none", session.Request{}, patch(t, `{"a":2}`), false},
		{"a read-only request", session.Request{ReadOnly: true}, read, false},
		{"a passive request", session.Request{Passive: true}, read, false},
		{"a passive request that counts after all", session.Request{Passive: true}, carrying(session.Changes{Touch: true}), true},
		{"a passive request that writes", session.Request{Passive: true}, carrying(patch(t, `{"a":2}`)), true},
		{"a rollback", session.Request{}, carrying(session.Changes{Rollback: true}), false},
	} {
		for _, updater := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, updater %v", tc.name, updater), func(t *testing.T) {
				s := newHeard(t, updater, rotating, session.EventRotate)
				c := s.begin(`{"a":1}`)
				s.clock.advance(rotateEvery - 1)
				if out := s.commit(s.openAs(tc.request, c), session.Changes{Carries: tc.changes.Carries}); replaces(out, c) || out.Rotated {
					t.Fatalf("before its time: %+v", out)
				}
				s.clock.advance(1)
				out := s.commit(s.openAs(tc.request, c), tc.changes)
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
				if again := s.commit(s.open(*out.Ticket), read); replaces(again, *out.Ticket) || again.Rotated {
					t.Errorf("at once again: %+v", again)
				}
				s.clock.advance(rotateEvery)
				if out := s.commit(s.open(*out.Ticket), read); !out.Rotated {
					t.Errorf("the second time: %+v", out)
				}
			})
		}
	}
	t.Run("never, by default", func(t *testing.T) {
		s := newSite(t, nil)
		c := s.begin(`{}`)
		s.clock.advance(20 * time.Minute)
		if out := s.commit(s.open(c), read); replaces(out, c) || s.store.Calls("save") != 1 {
			t.Errorf("%+v, %d saves", out, s.store.Calls("save"))
		}
	})
}

// TestThePreviousTicket: it enters for the grace, and every response to it
// carries the current one, whatever becomes of the request.
func TestThePreviousTicket(t *testing.T) {
	s := newSite(t, rotating)
	old := s.due(`{"a":1}`)
	current := *s.commit(s.open(old), read).Ticket
	for _, tc := range []struct {
		name    string
		request session.Request
		end     func(*session.Session) session.Outcome
	}{
		{"reading", session.Request{}, func(h *session.Session) session.Outcome { return s.commit(h, read) }},
		{"reading, without a word about tickets", session.Request{}, func(h *session.Session) session.Outcome { return s.commit(h, session.Changes{}) }},
		{"writing", session.Request{}, func(h *session.Session) session.Outcome { return s.commit(h, patch(t, `{"b":1}`)) }},
		{"passive", session.Request{Passive: true}, func(h *session.Session) session.Outcome { return s.commit(h, read) }},
		{"read-only", session.Request{ReadOnly: true}, func(h *session.Session) session.Outcome { return s.commit(h, read) }},
		{"a rollback by the app", session.Request{}, func(h *session.Session) session.Outcome {
			return s.commit(h, session.Changes{Rollback: true, Steps: replace(`{}`).Steps})
		}},
		{"a failure of the app", session.Request{}, func(h *session.Session) session.Outcome { h.Rollback(); return h.Current(t.Context()) }},
		{"a commit that is refused", session.Request{}, func(h *session.Session) session.Outcome {
			if _, err := h.Commit(t.Context(), session.Changes{IfVersion: new("1-0000000000000001")}); !errors.Is(err, session.ErrConflict) {
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
		s.commit(s.open(old), read)
		h := s.open(old)
		out := s.commit(h, session.Changes{Destroy: true})
		if late := h.Current(t.Context()); out.Ticket != nil || !out.ClearTicket || !out.Destroyed || late.Ticket != nil {
			t.Errorf("got %+v, and then %+v", out, late)
		}
	})
	t.Run("a login", func(t *testing.T) {
		s := newSite(t, rotating)
		old := s.due(`{}`)
		current := *s.commit(s.open(old), read).Ticket
		other := s.open(old)
		out := s.commit(s.open(old), session.Changes{Principal: new("alice")})
		if !out.Rotated || out.Ticket == nil {
			t.Fatalf("got %+v", out)
		}
		for name, c := range map[string]session.Credential{"previous": old, "one before": current} {
			if got := s.open(c).State(); got != session.Expired {
				t.Errorf("after it the %s ticket is %s", name, got)
			}
		}
		if got := other.Current(t.Context()); got.Ticket != nil {
			t.Errorf("a late response undoes the login in the browser: %+v", got)
		}
		if got := s.commit(other, read); got.Ticket != nil {
			t.Errorf("a late response undoes the login in the browser: %+v", got)
		}
	})
	t.Run("beside the current one", func(t *testing.T) {
		for _, creds := range [][]session.Credential{{old, current}, {current, old}} {
			h := s.open(creds...)
			if out := s.commit(h, read); h.State() != session.Active || out.Ticket != nil {
				t.Errorf("session is %s, %+v", h.State(), out)
			}
		}
	})
	t.Run("after the grace", func(t *testing.T) {
		s.clock.advance(grace - 1)
		s.data(old)
		s.clock.advance(1)
		if got := s.open(old).State(); got != session.Expired {
			t.Errorf("session is %s", got)
		}
		s.data(current)
	})
}

// TestARequestOutlivesTheGrace: what was under way when the ticket was replaced
// by timer, once or more often, goes on; a login ends it all the same.
func TestARequestOutlivesTheGrace(t *testing.T) {
	for _, rotations := range []int{1, 3} {
		for _, login := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d rotations, login %v", rotations, login), func(t *testing.T) {
				s := newSite(t, rotating)
				c := s.begin(`{"a":1}`)
				writer, stream, fresh := s.open(c), s.open(c), s.open(c)
				s.commit(stream, session.Changes{})
				for i := range rotations {
					s.clock.advance(rotateEvery)
					c = *s.commit(s.open(c), read).Ticket
					if login && i == 0 {
						c = *s.commit(s.open(c), session.Changes{Principal: new("alice")}).Ticket
					}
				}
				s.clock.advance(grace)
				again, errAgain := stream.Again(t.Context())
				if errAgain == nil {
					s.stage(again, patch(t, `{"s":1}`))
					s.commit(again, session.Changes{})
				}
				errRefresh := fresh.Refresh(t.Context())
				out, errWrite := writer.Commit(t.Context(), patch(t, `{"b":1}`))
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
				if got := s.data(c); got != want {
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
			shown := s.open(c).Meta().Version.String()
			open := s.open(c)
			c = *s.commit(s.open(c), read).Ticket
			if s.open(c).Meta().Version.String() == shown {
				t.Fatal("the store has seen no save")
			}
			demanding := patch(t, `{"b":1}`)
			demanding.IfVersion = &shown
			s.commit(open, demanding)
			s.refused(s.open(c), demanding, session.ErrIfVersion)

			c = s.due(`{"a":1}`)
			shown = s.open(c).Meta().Version.String()
			demanding.IfVersion = &shown
			c = *s.commit(s.open(c), read).Ticket
			s.commit(s.open(c), demanding)
			if got := s.data(c); got != `{"a":1,"b":1}` {
				t.Errorf("data is %s", got)
			}
		})
	}
}

func TestRequestsAtOnceReplaceATicketOnce(t *testing.T) {
	for _, updater := range []bool{false, true} {
		t.Run(fmt.Sprintf("updater %v", updater), func(t *testing.T) {
			for range 20 {
				s := newHeard(t, updater, rotating, session.EventRotate)
				c := s.due(`{"n":0}`)
				var wg sync.WaitGroup
				outs := make([]session.Outcome, 16)
				for i := range outs {
					h := s.open(c)
					changes := read
					if i%4 == 0 {
						changes = carrying(add(t, `{"n":1}`))
					}
					wg.Go(func() {
						var err error
						if outs[i], err = h.Commit(t.Context(), changes); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				rotated := 0
				for _, out := range outs {
					if out.Rotated {
						rotated++
					}
					if out.Ticket == nil || *out.Ticket != *outs[0].Ticket {
						t.Fatalf("one browser was sent %+v and %+v", out, outs[0])
					}
				}
				if got := s.filed(); rotated != 1 || got != "rotate" {
					t.Fatalf("%d rotations, told as %q", rotated, got)
				}
				if got := s.data(*outs[0].Ticket); got != `{"n":4}` {
					t.Fatalf("data is %s", got)
				}
			}
		})
	}
}

// TestARotationThatFails leaves the response and the old ticket alone.
func TestARotationThatFails(t *testing.T) {
	for _, op := range []string{"save", "update"} {
		for _, tc := range []struct {
			name    string
			err     error
			times   int
			rotated bool
		}{
			{"once, and nobody knows", store.ErrUnknown, 1, true},
			{"and nobody knows", store.ErrUnknown, 100, false},
			{"for good", store.ErrUnavailable, 100, false},
		} {
			t.Run(op+" "+tc.name, func(t *testing.T) {
				s := newHeard(t, op == "update", rotating)
				c := s.due(`{"a":1}`)
				left := tc.times
				s.store.Before = func(o string, _ store.Key) error {
					if o == op && left > 0 {
						left--
						return tc.err
					}
					return nil
				}
				out := s.commit(s.open(c), read)
				if out.Rotated != tc.rotated || (out.Ticket != nil) != tc.rotated {
					t.Errorf("got %+v", out)
				}
				s.data(c)
			})
		}
	}
}

// TestRotationAndTheClock: a clock that was set back neither stops the timer
// for good nor takes a ticket early.
func TestRotationAndTheClock(t *testing.T) {
	s := newSite(t, rotating)
	c := s.begin(`{}`)
	s.clock.advance(-time.Minute)
	if out := s.commit(s.open(c), read); out.Ticket != nil {
		t.Errorf("a minute back: %+v", out)
	}
	s.clock.advance(-time.Hour)
	out := s.commit(s.open(c), read)
	if !out.Rotated {
		t.Errorf("an hour back: %+v", out)
	}
	s.clock.advance(-time.Minute)
	s.data(c)
	s.data(*out.Ticket)
}
