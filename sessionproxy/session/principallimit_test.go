package session_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// TestTheLimitOfAPrincipal: how many sessions a user may be signed in to,
// and what happens beyond.
func TestTheLimitOfAPrincipal(t *testing.T) {
	limit := func(evict bool) func(*session.Policy) {
		return func(p *session.Policy) { p.MaxPerPrincipal, p.EvictOldest = 2, evict }
	}
	signIn := change.Changes{Principal: new("alice")}
	for _, updater := range []bool{false, true} {
		t.Run(fmt.Sprintf("refuse, updater %v", updater), func(t *testing.T) {
			s := newHeard(t, updater, limit(false), sessiontest.AllKinds...)
			first := *s.Commit(s.Open(), signIn).Ticket
			s.Commit(s.Open(), signIn)
			s.refused(s.Open(), signIn, session.ErrPrincipalLimit)
			s.refused(s.Open(s.Begin(`{}`)), signIn, session.ErrPrincipalLimit)
			first = *s.Commit(s.Open(first), signIn).Ticket // the same one again is no further session
			s.Commit(s.Open(), change.Changes{Principal: new("bob")})
			s.Commit(s.Open(first), change.Changes{Destroy: true})
			s.Commit(s.Open(), signIn)
		})
		t.Run(fmt.Sprintf("evict, updater %v", updater), func(t *testing.T) {
			s := newHeard(t, updater, limit(true), sessiontest.AllKinds...)
			var creds []session.Credential
			for range 3 {
				creds = append(creds, *s.Commit(s.Open(), signIn).Ticket)
				s.clock.advance(time.Second)
			}
			if got := s.Open(creds[0]).State(); got != session.Expired {
				t.Errorf("the session that began first is %s", got)
			}
			s.Data(creds[1])
			s.Data(creds[2])
			const want = "delete evicted"
			if shown, filed := s.shown(), s.filed(); !strings.Contains(shown, want) || !strings.Contains(filed, want) {
				t.Errorf("shown %q, filed %q", shown, filed)
			}
		})
		t.Run(fmt.Sprintf("many at once, updater %v", updater), func(t *testing.T) {
			for _, evict := range []bool{false, true} {
				s := newHeard(t, updater, limit(evict))
				var wg sync.WaitGroup
				var mu sync.Mutex
				var in []session.Credential
				for i := range 100 {
					h := s.Open()
					if i%2 == 0 {
						h = s.Open(s.Begin(`{}`))
					}
					wg.Go(func() {
						out, err := h.Commit(t.Context(), signIn)
						mu.Lock()
						defer mu.Unlock()
						switch {
						case err == nil:
							in = append(in, *out.Ticket)
						case evict || !errors.Is(err, session.ErrPrincipalLimit):
							t.Error(err)
						}
					})
				}
				wg.Wait()
				page, err := s.Store.Page(t.Context(), store.Query{Manager: "shop", Principal: "alice", Order: store.ByCreated, Limit: 100})
				if err != nil || len(page.Sessions) != 2 {
					t.Errorf("evict %v: %d sessions, %v", evict, len(page.Sessions), err)
				}
				alive := slices.DeleteFunc(in, func(c session.Credential) bool { return s.Open(c).State() != session.Active })
				if len(alive) != 2 || !evict && len(in) != 2 {
					t.Errorf("evict %v: %d of %d tickets open a session", evict, len(alive), len(in))
				}
			}
		})
	}
}

// TestAStoreThatDoesNotSuit is refused, not used without what is missing.
func TestAStoreThatDoesNotSuit(t *testing.T) {
	s := newSite(t, nil)
	plain := session.Fixed(careless{s.Store}) // a store.Store and no more
	ear := event.Subscription{Name: "ear", Kinds: sessiontest.AllKinds, Listener: deaf{}}
	for name, m := range map[string]*session.Manager{
		"listeners": s.manager(plain, nil, ear),
		"limit":     s.manager(plain, func(p *session.Policy) { p.MaxPerPrincipal = 1 }),
	} {
		if _, err := m.Open(t.Context(), session.Request{}); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := s.manager(plain, nil).Open(t.Context(), session.Request{}); err != nil {
		t.Error(err)
	}
}
