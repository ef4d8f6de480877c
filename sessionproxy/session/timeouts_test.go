package session_test

import (
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// TestThePolicyOfTodayCounts: shorter timeouts reach sessions that began under
// longer ones, at their next request; longer ones do not.
func TestThePolicyOfTodayCounts(t *testing.T) {
	generous := func(p *session.Policy) { p.MaxIdle, p.MaxAbsolute = 48*time.Hour, 240*time.Hour }
	asked := change.Changes{Timeout: &change.Timeout{Idle: 40 * time.Hour, Absolute: 200 * time.Hour}, Principal: new("alice")}
	for _, tc := range []struct {
		name           string
		ask            change.Changes
		after          time.Duration // from the beginning to the request
		change         func(*session.Policy)
		state          session.State
		idle, absolute time.Duration // of the record afterwards; absolute from the beginning
	}{
		{"as before", change.Changes{}, time.Minute, generous, session.Active, 30 * time.Minute, 12 * time.Hour},
		{"shorter idle", change.Changes{}, time.Minute, func(p *session.Policy) { generous(p); p.IdleTimeout = 10 * time.Minute }, session.Active, 10 * time.Minute, 12 * time.Hour},
		{"idle that has passed", change.Changes{}, 20 * time.Minute, func(p *session.Policy) { generous(p); p.IdleTimeout = 10 * time.Minute }, session.Expired, 0, 0},
		{"shorter absolute", change.Changes{}, time.Minute, func(p *session.Policy) { generous(p); p.AbsoluteTimeout = time.Hour }, session.Active, 30 * time.Minute, time.Hour},
		{"absolute that has passed", change.Changes{}, 20 * time.Minute, func(p *session.Policy) { p.IdleTimeout, p.AbsoluteTimeout = 15*time.Minute, 15*time.Minute }, session.Expired, 0, 0},
		{"longer ones", change.Changes{}, time.Minute, func(p *session.Policy) { generous(p); p.IdleTimeout, p.AbsoluteTimeout = time.Hour, 24*time.Hour }, session.Active, 30 * time.Minute, 12 * time.Hour},
		{"what the app asked for", asked, time.Minute, func(p *session.Policy) { generous(p); p.IdleTimeout = 10 * time.Minute }, session.Active, 40 * time.Hour, 200 * time.Hour},
		{"what the app asked for, and a shorter limit", asked, time.Minute, func(p *session.Policy) { p.MaxIdle, p.MaxAbsolute = 20*time.Hour, 100*time.Hour }, session.Active, 20 * time.Hour, 100 * time.Hour},
		{"what the app asked for, and a limit that has passed", asked, 25 * time.Hour, func(p *session.Policy) { p.MaxIdle, p.MaxAbsolute = 20*time.Hour, 100*time.Hour }, session.Expired, 0, 0},
	} {
		for _, updater := range []bool{false, true} {
			for name, commit := range map[string]change.Changes{"read": read, "write": sessiontest.MergePatch(t, `{"b":1}`)} {
				t.Run(tc.name+", "+name, func(t *testing.T) {
					s := newHeard(t, updater, generous, event.Delete)
					c := s.Begin(`{"a":1}`)
					if tc.ask.Timeout != nil {
						c = *s.Commit(s.Open(c), tc.ask).Ticket
					}
					begin, key := s.clock.Now(), keyOf(s.Open(c))
					s.filed()
					s.Manager = s.manager(s.backend, tc.change, event.Subscription{Name: "ear", Kinds: []event.Kind{event.Delete}, Listener: deaf{}})
					s.clock.advance(tc.after)
					h := s.Open(c)
					if h.State() != tc.state {
						t.Fatalf("session is %s", h.State())
					}
					if tc.state == session.Expired {
						if s.Store.Len() != 0 {
							t.Error("it is still stored")
						}
						return
					}
					expires := h.Meta().Expires
					s.Commit(h, commit)
					rec, err := s.Store.Load(t.Context(), key)
					if err != nil {
						t.Fatal(err)
					}
					if rec.Idle != tc.idle || !rec.Absolute.Equal(begin.Add(tc.absolute)) {
						t.Errorf("idle %v, absolute %v", rec.Idle, rec.Absolute.Sub(begin))
					}
					if want := rec.Accessed.Add(rec.Idle); want.Before(rec.Absolute) && !expires.Equal(want) {
						t.Errorf("the app was shown %v, and it ends at %v", expires, want)
					}
				})
			}
		}
	}
}
