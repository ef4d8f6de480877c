package session_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

func TestWhatBeginsASession(t *testing.T) {
	for _, tc := range []struct {
		name    string
		changes change.Changes
		begins  bool
	}{
		{"nothing", change.Changes{}, false},
		{"a patch", sessiontest.MergePatch(t, `{"a":1}`), true},
		{"a patch that removes what is absent", sessiontest.MergePatch(t, `{"a":null}`), false},
		{"replacing by nothing", replace(`{}`), true},
		{"adding zero", add(t, `{"n":0}`), true},
		{"signing in", change.Changes{Principal: new("alice")}, true},
		{"forgetting who it was", change.Changes{Principal: new("")}, false},
		{"regenerate, touch and timeout", change.Changes{Regenerate: true, Touch: true, Timeout: &change.Timeout{Idle: time.Minute}}, false},
		{"destroy", change.Changes{Destroy: true}, false},
		{"a write rolled back", change.Changes{Ops: replace(`{"a":1}`).Ops, Rollback: true}, false},
		{"a write if there is still none", change.Changes{Ops: replace(`{"a":1}`).Ops, IfVersion: new("")}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, nil)
			h := s.Open()
			out := s.Commit(h, tc.changes)
			if out.Created != tc.begins || (out.Ticket != nil) != tc.begins {
				t.Fatalf("got %+v", out)
			}
			if n := s.Store.Len(); (n == 1) != tc.begins {
				t.Fatalf("%d records", n)
			}
			if tc.begins && out.Ticket.ID != h.ID() {
				t.Fatal("the session has another id than the app was told")
			}
		})
	}
	t.Run("create always", func(t *testing.T) {
		s := newSite(t, func(p *session.Policy) { p.CreateAlways = true })
		if out := s.Commit(s.Open(), change.Changes{}); !out.Created {
			t.Fatalf("got %+v", out)
		}
	})
	t.Run("after an ended one, under a fresh number", func(t *testing.T) {
		s := newSite(t, nil)
		c := s.Begin(`{}`)
		s.Commit(s.Open(c), change.Changes{Destroy: true})
		out := s.Commit(s.Open(c), sessiontest.MergePatch(t, `{"a":1}`))
		if !out.Created || out.Ticket.Number == c.Number || out.Ticket.ID == c.ID {
			t.Fatalf("got %+v", out)
		}
	})
}

func TestAHandleIsUsedOnce(t *testing.T) {
	s := newSite(t, nil)
	h := s.Open(s.Begin(`{}`))
	s.Commit(h, change.Changes{})
	if _, err := h.Commit(t.Context(), sessiontest.MergePatch(t, `{"a":1}`)); !errors.Is(err, session.ErrObsolete) {
		t.Fatalf("got %v", err)
	}
	h.Rollback() // stays allowed
}

func TestOrderOfOneResponsesWrites(t *testing.T) {
	s := newSite(t, nil)
	c := s.Begin(`{"gone":true}`)
	changes := sessiontest.MergePatch(t, `{"n":5,"x":"patched"}`)
	changes.Ops = slices.Concat(replace(`{"n":1,"kept":1}`).Ops, changes.Ops, add(t, `{"n":2}`).Ops)
	s.Commit(s.Open(c), changes)
	if got := s.Data(c); got != `{"n":7,"kept":1,"x":"patched"}` {
		t.Fatalf("data is %s", got)
	}
}

func TestDestroy(t *testing.T) {
	t.Run("wins over other writes of the response", func(t *testing.T) {
		s := newSite(t, nil)
		c := s.Begin(`{}`)
		out := s.Commit(s.Open(c), change.Changes{Destroy: true, Ops: replace(`{"a":1}`).Ops, Principal: new("alice")})
		if !out.Destroyed || !out.ClearTicket || s.Store.Len() != 0 {
			t.Fatalf("got %+v, %d records", out, s.Store.Len())
		}
	})
	t.Run("wins over a save that happened meanwhile, and twice is once", func(t *testing.T) {
		s := newSite(t, nil)
		c := s.Begin(`{}`)
		first, second := s.Open(c), s.Open(c)
		s.Commit(s.Open(c), sessiontest.MergePatch(t, `{"a":1}`))
		s.Commit(first, change.Changes{Destroy: true})
		s.Commit(second, change.Changes{Destroy: true})
		if s.Store.Len() != 0 {
			t.Fatal("the session is still there")
		}
	})
	t.Run("no save brings it back", func(t *testing.T) {
		for _, policy := range []session.Locking{session.Lossy, session.Optimistic} {
			s := newSite(t, locking(policy))
			c := s.Begin(`{}`)
			h := s.Open(c)
			s.Commit(s.Open(c), change.Changes{Destroy: true})
			s.refused(h, sessiontest.MergePatch(t, `{"a":1}`), session.ErrGone)
		}
	})
	t.Run("without a session only a cookie is cleared", func(t *testing.T) {
		s := newSite(t, nil)
		if out := s.Commit(s.Open(), change.Changes{Destroy: true}); out.Destroyed || !out.ClearTicket {
			t.Fatalf("got %+v", out)
		}
	})
}

func TestRotation(t *testing.T) {
	s := newSite(t, nil)
	c := s.Begin(`{"cart":1}`)
	late := s.Open(c)
	s.clock.advance(time.Hour / 4)
	out := s.Commit(s.Open(c), change.Changes{Principal: new("alice")})
	if !out.Rotated || out.Ticket.Number != c.Number || out.Ticket.Nonce == c.Nonce {
		t.Fatalf("got %+v", out)
	}
	t.Run("keeps the id and the data", func(t *testing.T) {
		h := s.Open(*out.Ticket)
		if h.ID() != c.ID || string(h.Data()) != `{"cart":1}` || h.Meta().Principal != "alice" {
			t.Fatalf("got %s %s %+v", h.ID(), h.Data(), h.Meta())
		}
	})
	t.Run("the old ticket's writes are refused", func(t *testing.T) {
		s.refused(s.Open(c), sessiontest.MergePatch(t, `{"evil":1}`), session.ErrGone)
		s.refused(s.Open(c), change.Changes{Timeout: &change.Timeout{Idle: time.Minute}}, session.ErrReplaced)
		if out := s.Commit(s.Open(c), change.Changes{Destroy: true}); !out.ClearTicket || out.Destroyed {
			t.Fatalf("a sign-out with it got %+v", out)
		}
		if out := s.Commit(s.Open(c), change.Changes{}); out.Ticket != nil || out.ClearTicket {
			t.Fatalf("a late tab was sent %+v", out)
		}
	})
	t.Run("a request that ran meanwhile cannot write", func(t *testing.T) {
		s.refused(late, sessiontest.MergePatch(t, `{"evil":1}`), session.ErrGone)
	})
	t.Run("restarts the absolute timeout", func(t *testing.T) {
		h := s.Open(*out.Ticket)
		record, err := s.Store.Load(t.Context(), keyOf(h))
		if err != nil {
			t.Fatal(err)
		}
		if want := s.clock.Now().Add(12 * time.Hour); !record.Absolute.Equal(want) {
			t.Fatalf("ends at %v, want %v", record.Absolute, want)
		}
	})
	t.Run("forgetting rotates too", func(t *testing.T) {
		next := s.Commit(s.Open(*out.Ticket), change.Changes{Principal: new("")})
		if !next.Rotated || s.Open(*next.Ticket).Meta().Principal != "" {
			t.Fatalf("got %+v", next)
		}
	})
}

func TestTimeouts(t *testing.T) {
	generous := func(p *session.Policy) { p.MaxIdle, p.MaxAbsolute = 48*time.Hour, 240*time.Hour }
	for _, tc := range []struct {
		name           string
		signIn         bool
		forget         bool
		ask            change.Timeout
		idle, absolute time.Duration // from now
	}{
		{"both shorter", false, false, change.Timeout{Idle: time.Minute, Absolute: time.Hour}, time.Minute, time.Hour},
		{"idle longer", false, false, change.Timeout{Idle: 2 * time.Hour}, 2 * time.Hour, 12 * time.Hour},
		{"absolute never later without a sign-in", false, false, change.Timeout{Absolute: 20 * time.Hour}, 30 * time.Minute, 12 * time.Hour},
		{"absolute later with one", true, false, change.Timeout{Absolute: 20 * time.Hour}, 30 * time.Minute, 20 * time.Hour},
		{"absolute never later by forgetting who it was", false, true, change.Timeout{Absolute: 20 * time.Hour}, 30 * time.Minute, 12 * time.Hour},
		{"capped", true, false, change.Timeout{Idle: 9999 * time.Hour, Absolute: 99999 * time.Hour}, 48 * time.Hour, 240 * time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, generous)
			h := s.Open(s.Begin(`{}`))
			c := change.Changes{Timeout: &tc.ask}
			if tc.signIn {
				c.Principal = new("alice")
			}
			if tc.forget {
				c.Principal = new("")
			}
			s.Commit(h, c)
			rec, err := s.Store.Load(t.Context(), keyOf(h))
			if err != nil {
				t.Fatal(err)
			}
			if rec.Idle != tc.idle || !rec.Absolute.Equal(s.clock.Now().Add(tc.absolute)) {
				t.Fatalf("idle %v, absolute in %v", rec.Idle, rec.Absolute.Sub(s.clock.Now()))
			}
		})
	}
}

func TestReadOnly(t *testing.T) {
	s := newSite(t, locking(session.Serialized))
	c := s.Begin(`{"a":1}`)
	holder := s.Open(c)
	defer holder.Rollback()
	for _, tc := range []struct {
		name    string
		changes change.Changes
		refused bool
	}{
		{"reading", change.Changes{}, false},
		{"touch and rollback", change.Changes{Touch: true, Rollback: true}, false},
		{"a patch", sessiontest.MergePatch(t, `{"a":2}`), true},
		{"destroy", change.Changes{Destroy: true}, true},
		{"a principal", change.Changes{Principal: new("alice")}, true},
		{"a condition", change.Changes{IfVersion: new("")}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, err := s.Manager.Open(t.Context(), session.Request{Credentials: []session.Credential{c}, ReadOnly: true})
			if err != nil {
				t.Fatal(err) // it must not wait for the holder
			}
			if tc.refused {
				s.refused(h, tc.changes, session.ErrReadOnly)
			} else if out := s.Commit(h, tc.changes); out != (session.Outcome{}) {
				t.Fatalf("got %+v", out)
			}
		})
	}
}

func TestSizeLimit(t *testing.T) {
	s := newSite(t, func(p *session.Policy) { p.MaxSize = 100 })
	c := s.Begin(`{}`)
	big := `{"a":"` + strings.Repeat("x", 93) + `"}`
	s.refused(s.Open(c), sessiontest.MergePatch(t, big), change.ErrTooLarge)
	s.refused(s.Open(c), change.Changes{Ops: replace(big).Ops}, change.ErrTooLarge)
	s.Commit(s.Open(c), sessiontest.MergePatch(t, `{"a":"`+strings.Repeat("x", 92)+`"}`))
}

func TestAdditionsThatDoNotFit(t *testing.T) {
	s := newSite(t, nil)
	c := s.Begin(`{"s":"text","max":9007199254740992}`)
	s.refused(s.Open(c), add(t, `{"s":1}`), change.ErrBadWrite)
	s.refused(s.Open(c), add(t, `{"ok":1,"max":1}`), change.ErrBadWrite)
}
