package session_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

func TestRequestsAtOnceReplaceATicketOnce(t *testing.T) {
	for _, updater := range []bool{false, true} {
		t.Run(fmt.Sprintf("updater %v", updater), func(t *testing.T) {
			for range 20 {
				s := newHeard(t, updater, rotating, event.Rotate)
				c := s.due(`{"n":0}`)
				var wg sync.WaitGroup
				outs := make([]session.Outcome, 16)
				for i := range outs {
					h := s.Open(c)
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
				if got := s.Data(*outs[0].Ticket); got != `{"n":4}` {
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
				s.Store.Before = func(o string, _ store.Key) error {
					if o == op && left > 0 {
						left--
						return tc.err
					}
					return nil
				}
				out := s.Commit(s.Open(c), read)
				if out.Rotated != tc.rotated || (out.Ticket != nil) != tc.rotated {
					t.Errorf("got %+v", out)
				}
				s.Data(c)
			})
		}
	}
}

// TestRotationAndTheClock: a clock that was set back neither stops the timer
// for good nor takes a ticket early.
func TestRotationAndTheClock(t *testing.T) {
	s := newSite(t, rotating)
	c := s.Begin(`{}`)
	s.clock.advance(-time.Minute)
	if out := s.Commit(s.Open(c), read); out.Ticket != nil {
		t.Errorf("a minute back: %+v", out)
	}
	s.clock.advance(-time.Hour)
	out := s.Commit(s.Open(c), read)
	if !out.Rotated {
		t.Errorf("an hour back: %+v", out)
	}
	s.clock.advance(-time.Minute)
	s.Data(c)
	s.Data(*out.Ticket)
}

// TestAFurtherWriteIsNoArrival: what a request writes after its response has
// brought the new ticket does not show that the browser has it.
func TestAFurtherWriteIsNoArrival(t *testing.T) {
	s := newSite(t, rotating)
	old := s.due(`{"a":1}`)
	h := s.Open(old)
	if out := s.Commit(h, carrying(sessiontest.MergePatch(t, `{"a":2}`))); !out.Rotated {
		t.Fatalf("got %+v", out)
	}
	late, err := h.Reopen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Commit(late, sessiontest.MergePatch(t, `{"a":3}`))
	s.clock.advance(2 * grace)
	if h := s.Open(old); h.State() != session.Active { // the response was lost
		t.Fatalf("the previous ticket is %s", h.State())
	}
}
