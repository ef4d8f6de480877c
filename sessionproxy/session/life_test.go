package session_test

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// TestWhatMovesTheEnd: a sign-in restarts the absolute timeout, and nothing
// else does.
func TestWhatMovesTheEnd(t *testing.T) {
	for _, tc := range []struct {
		name    string
		changes change.Changes
		moves   bool
	}{
		{"reading", read, false},
		{"a touch", carrying(change.Changes{Touch: true}), false},
		{"writing", carrying(sessiontest.MergePatch(t, `{"a":2}`)), false},
		{"replacing", carrying(replace(`{}`)), false},
		{"adding", carrying(add(t, `{"n":1}`)), false},
		{"regenerate", change.Changes{Regenerate: true}, false},
		{"forgetting who it was", change.Changes{Principal: new("")}, false},
		{"another idle timeout", change.Changes{Timeout: &change.Timeout{Idle: time.Hour}}, false},
		{"a longer absolute timeout", change.Changes{Timeout: &change.Timeout{Absolute: 20 * time.Hour}}, false},
		{"signing in", change.Changes{Principal: new("alice")}, true},
		{"signing in again", change.Changes{Principal: new("bob")}, true},
		{"signing in with a longer timeout", change.Changes{Principal: new("bob"), Timeout: &change.Timeout{Absolute: 13 * time.Hour}}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, func(p *session.Policy) { rotating(p); p.MaxIdle, p.MaxAbsolute = time.Hour, 24*time.Hour })
			c := s.signIn("bob")
			before := s.record(c)
			s.clock.advance(rotateEvery)
			s.Commit(s.Open(c), tc.changes)
			after := s.record(c)
			if moved := after.Absolute.After(before.Absolute); moved != tc.moves || after.Absolute.Before(before.Absolute) {
				t.Errorf("the end moves from %v to %v", before.Absolute, after.Absolute)
			}
			if !after.Created.Equal(before.Created) {
				t.Error("it began at another time")
			}
		})
	}
}

func (s *site) record(c session.Credential) store.Record {
	s.T.Helper()
	rec, err := s.Store.Load(s.T.Context(), store.Key{Manager: "shop", ID: c.ID})
	if err != nil {
		s.T.Fatal(err)
	}
	return rec
}

// TestNobodyExpiresEarly: whatever requests come, and however the clock is set
// back or the store forgets a touch that it held back, a session lives for its
// idle timeout after the last activity, and ends at its absolute end.
func TestNobodyExpiresEarly(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSite(t, func(p *session.Policy) {
			rotating(p)
			p.IdleTimeout, p.MaxIdle, p.AbsoluteTimeout, p.MaxAbsolute = 10*time.Minute, 20*time.Minute, 30*time.Minute, time.Hour
		})
		// A store that holds touches back for as long as it may, and loses
		// them when it is asked to.
		held := &holding{Store: s.Store, held: make(map[store.Key]store.Touch)}
		s.Manager = s.manager(session.Fixed(held), func(p *session.Policy) { *p = s.Manager.Policy() })
		c := s.Begin(`{}`)
		idle, active, absolute := 10*time.Minute, s.clock.Now(), s.clock.Now().Add(30*time.Minute)
		for range rapid.IntRange(1, 20).Draw(rt, "requests") {
			s.clock.advance(rapid.SampledFrom([]time.Duration{
				-time.Minute, -time.Second, 0, time.Second, store.TouchSlack(idle) - time.Second, store.TouchSlack(idle), idle / 6,
				idle - time.Second, idle - time.Second, idle, idle + store.TouchSlack(idle), idle + 3*store.TouchSlack(idle),
			}).Draw(rt, "pause"))
			if rapid.IntRange(0, 3).Draw(rt, "crash") == 0 {
				held.lose()
			}
			r := session.Request{Credentials: []session.Credential{c}}
			r.Passive, r.ReadOnly = rapid.Bool().Draw(rt, "passive"), rapid.IntRange(0, 3).Draw(rt, "read only") == 0
			h, err := s.Manager.Open(t.Context(), r)
			if err != nil {
				rt.Fatal(err)
			}
			now := s.clock.Now()
			if h.State() != session.Active {
				if now.Sub(active) < idle && now.Before(absolute) {
					rt.Fatalf("%s, %v after the last activity and %v before its end", h.State(), now.Sub(active), absolute.Sub(now))
				}
				h.Rollback()
				return
			}
			if !now.Before(absolute) || now.Sub(active) >= idle+2*store.TouchSlack(idle) {
				rt.Fatalf("alive, %v after the last activity and %v before its end", now.Sub(active), absolute.Sub(now))
			}
			changes, longer := read, rapid.IntRange(0, 9).Draw(rt, "asks") == 0 && !r.ReadOnly
			if longer {
				idle = time.Duration(rapid.IntRange(1, 20).Draw(rt, "idle")) * time.Minute
				changes = change.Changes{Timeout: &change.Timeout{Idle: idle}}
			}
			before := s.record(c)
			out, err := h.Commit(t.Context(), changes)
			if err != nil {
				rt.Fatal(err)
			}
			if !r.ReadOnly && (!r.Passive || out.Saved) && now.After(active) {
				active = now
			}
			if out.Ticket != nil {
				c = *out.Ticket
			}
			if after := s.record(c); after.Accessed.Before(before.Accessed) {
				rt.Fatal("the last access moved back")
			}
		}
	})
}

// holding holds touches back, in memory, for as long as the contract allows.
type holding struct {
	*memstore.Store
	held map[store.Key]store.Touch
}

func (h *holding) Load(ctx context.Context, key store.Key) (store.Record, error) {
	rec, err := h.Store.Load(ctx, key)
	if t := h.held[key]; err == nil && t.Incarnation == rec.Incarnation && t.Accessed.After(rec.Accessed) {
		rec.Accessed = t.Accessed
	}
	return rec, err
}

func (h *holding) Touch(ctx context.Context, touches ...store.Touch) error {
	for _, t := range touches {
		rec, err := h.Store.Load(ctx, t.Key)
		if err == nil && t.Accessed.Sub(rec.Accessed) <= store.TouchSlack(rec.Idle) {
			h.held[t.Key] = t
			continue
		}
		if err := h.Store.Touch(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// lose does what a crash does.
func (h *holding) lose() { clear(h.held) }
