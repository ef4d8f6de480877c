package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// deaf is a listener that nobody tells anything in these tests.
type deaf struct{}

func (deaf) Hear(context.Context, session.Event) error { return nil }

var allKinds = []session.EventKind{
	session.EventCreate, session.EventSave, session.EventRotate, session.EventDelete, session.EventRollback,
}

// heard is a site with a listener of some kinds, and what its process shows.
type heard struct {
	*site
	backend session.Backend
	local   *session.Local
	mu      sync.Mutex
	seen    []session.Event
}

// newHeard returns a site whose manager has the listener "ear".
func newHeard(t *testing.T, updater bool, change func(*session.Policy), kinds ...session.EventKind) *heard {
	t.Helper()
	h := &heard{site: newSite(t, nil)}
	var st store.Store = h.store
	if updater {
		st = h.store.WithUpdater()
	}
	backend := session.Fixed(st)
	h.backend = backend
	var err error
	if _, h.local, err = backend.Borrow(); err != nil {
		t.Fatal(err)
	}
	var subs []session.Subscription
	if len(kinds) > 0 {
		subs = []session.Subscription{{Name: "ear", Kinds: kinds, Listener: deaf{}}}
	}
	h.m = h.manager(backend, change, subs...)
	t.Cleanup(h.local.Listeners.Use(map[string][]session.Subscription{"shop": subs}))
	t.Cleanup(h.local.Watch(func(e session.Event) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.seen = append(h.seen, e)
	}))
	return h
}

// shown returns what was shown since the last call, in words.
func (h *heard) shown() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []string
	for _, e := range h.seen {
		all = append(all, words(string(e.Kind), string(e.Reason), e.Keys))
	}
	h.seen = nil
	return strings.Join(all, ", ")
}

// filed returns what waits for the listener, in words, and takes it away.
func (h *heard) filed() string {
	h.t.Helper()
	var all []string
	for {
		due, _, err := h.store.Deliveries(h.t.Context(), "ear", 100)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(due) == 0 {
			return strings.Join(all, ", ")
		}
		for _, d := range due {
			all = append(all, words(string(d.Kind), string(d.Reason), d.Keys))
			if err := h.store.Settle(h.t.Context(), store.Settlement{ID: d.ID, Delivered: true}); err != nil {
				h.t.Fatal(err)
			}
		}
	}
}

func words(kind, reason string, keys []string) string {
	if reason != "" {
		kind += " " + reason
	}
	if len(keys) > 0 {
		kind += " " + strings.Join(keys, "+")
	}
	return kind
}

// TestWhatIsTold: what each commit files for a listener, and shows to who
// watches the process.
func TestWhatIsTold(t *testing.T) {
	for _, updater := range []bool{false, true} {
		for _, tc := range []struct {
			name    string
			changes session.Changes
			told    string
		}{
			{"nothing", session.Changes{}, ""},
			{"a touch", session.Changes{Touch: true}, ""},
			{"a patch", patch(t, `{"a":2,"new":1,"o":{"x":9},"gone":null}`), "save a+o+new+gone"},
			{"a patch that changes nothing", patch(t, `{"a":1,"none":null}`), ""},
			{"a name with escapes", patch(t, `{"\u00e9\n":1}`), "save é\n"},
			{"an addition", add(t, `{"a":1}`), "save a"},
			{"a replacement", replace(`{"b":1}`), "save b+a+o+gone"},
			{"a timeout", session.Changes{Timeout: &session.Timeout{Idle: time.Minute}}, ""},
			{"regenerate", session.Changes{Regenerate: true}, "rotate"},
			{"a login that writes", session.Changes{Principal: new("alice"), Steps: patch(t, `{"a":2}`).Steps}, "save a, rotate"},
			{"destroy", session.Changes{Destroy: true, Steps: replace(`{}`).Steps}, "delete destroyed"},
		} {
			t.Run(fmt.Sprintf("%s, updater %v", tc.name, updater), func(t *testing.T) {
				s := newHeard(t, updater, nil, allKinds...)
				c := s.begin(`{"a":1,"o":{"x":1},"gone":true}`)
				if shown, filed := s.shown(), s.filed(); shown != "create" || filed != "create" {
					t.Fatalf("at the beginning: shown %q, filed %q", shown, filed)
				}
				s.commit(s.open(c), tc.changes)
				if shown, filed := s.shown(), s.filed(); shown != tc.told || filed != tc.told {
					t.Errorf("shown %q, filed %q, want %q", shown, filed, tc.told)
				}
			})
			t.Run(fmt.Sprintf("%s, on newer data, updater %v", tc.name, updater), func(t *testing.T) {
				s := newHeard(t, updater, nil, allKinds...)
				h := s.open(s.begin(`{"a":1,"o":{"x":1},"gone":true}`))
				s.store.Before = func(op string, key store.Key) error {
					if op == "save" || op == "delete" { // somebody else is faster
						s.store.Before = nil
						rec, err := s.store.Load(t.Context(), key)
						if err != nil {
							return err
						}
						before := rec.Version
						rec.Version = before.Next()
						return s.store.Save(t.Context(), key, store.Write{Record: rec}, store.IfVersion(before))
					}
					return nil
				}
				s.shown()
				s.filed()
				s.commit(h, tc.changes)
				if shown, filed := s.shown(), s.filed(); shown != tc.told || filed != tc.told {
					t.Errorf("shown %q, filed %q, want %q", shown, filed, tc.told)
				}
			})
		}
	}
}

// TestWhatAListenerHears: it is told of what it wants to hear alone, and names
// of keys are found out only for those who want them.
func TestWhatAListenerHears(t *testing.T) {
	for _, tc := range []struct {
		kinds        []session.EventKind
		filed, shown string
	}{
		{nil, "", "create, save, rotate, delete destroyed"},
		{[]session.EventKind{session.EventCreate}, "create", "create, save, rotate, delete destroyed"},
		{[]session.EventKind{session.EventSave}, "save a", "create, save a, rotate, delete destroyed"},
		{[]session.EventKind{session.EventRotate}, "rotate", "create, save, rotate, delete destroyed"},
		{[]session.EventKind{session.EventDelete}, "delete destroyed", "create, save, rotate, delete destroyed"},
		{[]session.EventKind{session.EventRollback}, "", "create, save, rotate, delete destroyed"},
	} {
		t.Run(fmt.Sprint(tc.kinds), func(t *testing.T) {
			s := newHeard(t, false, nil, tc.kinds...)
			c := s.begin(`{}`)
			s.commit(s.open(c), patch(t, `{"a":1}`))
			c = *s.commit(s.open(c), session.Changes{Regenerate: true}).Ticket
			s.commit(s.open(c), session.Changes{Destroy: true})
			if got := s.filed(); got != tc.filed {
				t.Errorf("filed %q, want %q", got, tc.filed)
			}
			if got := s.shown(); got != tc.shown {
				t.Errorf("shown %q, want %q", got, tc.shown)
			}
		})
	}
}

// TestNothingIsToldOfWhatFails: a commit that is refused, or that the store
// does not make, tells nobody.
func TestNothingIsToldOfWhatFails(t *testing.T) {
	s := newHeard(t, false, locking(session.Optimistic), allKinds...)
	c := s.begin(`{"a":1}`)
	late, broken := s.open(c), s.open(c)
	s.commit(s.open(c), patch(t, `{"a":2}`))
	s.shown()
	s.filed()
	s.refused(late, patch(t, `{"a":3}`), session.ErrConflict)
	s.store.Before = func(op string, _ store.Key) error {
		if op == "save" {
			return errors.New("broken")
		}
		return nil
	}
	if _, err := broken.Commit(t.Context(), patch(t, `{"a":3}`)); !errors.Is(err, session.ErrUnavailable) {
		t.Fatal(err)
	}
	if shown, filed := s.shown(), s.filed(); shown+filed != "" {
		t.Errorf("shown %q, filed %q", shown, filed)
	}
}

// TestRollbacksAreTold: each way to drop a request's writes, and no other way
// for a request to end.
func TestRollbacksAreTold(t *testing.T) {
	write := patch(t, `{"a":2}`)
	for _, tc := range []struct {
		name string
		end  func(*heard, *session.Session)
		want string
	}{
		{"nothing to drop", func(_ *heard, h *session.Session) { h.Rollback() }, ""},
		{"a touch is no write", func(s *heard, h *session.Session) { s.stage(h, session.Changes{Touch: true}); h.Rollback() }, ""},
		{"staged writes", func(s *heard, h *session.Session) { s.stage(h, write); h.Rollback(); h.Rollback() }, "rollback"},
		{"unstaged", func(s *heard, h *session.Session) { s.stage(h, write); h.Unstage(); h.Unstage(); h.Rollback() }, "rollback"},
		{"said so", func(s *heard, h *session.Session) {
			s.commit(h, session.Changes{Steps: write.Steps, Rollback: true})
			h.Rollback()
		}, "rollback"},
		{"said so, with nothing to drop", func(s *heard, h *session.Session) { s.commit(h, session.Changes{Rollback: true}) }, ""},
		{"discarded", func(_ *heard, h *session.Session) { h.Discard(); h.Rollback() }, "rollback"},
		{"discarded after a commit", func(s *heard, h *session.Session) { s.commit(h, write); h.Discard() }, "save a, rollback"},
		{"committed", func(s *heard, h *session.Session) { s.stage(h, write); s.commit(h, session.Changes{}); h.Rollback() }, "save a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newHeard(t, false, nil, allKinds...)
			h := s.open(s.begin(`{"a":1}`))
			s.shown()
			tc.end(s, h)
			if got := s.shown(); got != tc.want {
				t.Errorf("shown %q, want %q", got, tc.want)
			}
			if got := s.filed(); strings.Contains(got, "rollback") {
				t.Errorf("filed %q: rollbacks are not kept", got)
			}
		})
	}
	t.Run("a read-only request has nothing to drop", func(t *testing.T) {
		s := newHeard(t, false, nil, allKinds...)
		c := s.begin(`{"a":1}`)
		s.shown()
		h, err := s.m.Open(t.Context(), session.Request{Credentials: []session.Credential{c}, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		h.Discard()
		if got := s.shown(); got != "" {
			t.Errorf("shown %q", got)
		}
	})
}

// TestEventsHoldNoSecrets: neither values nor tickets, and of the end no data.
func TestEventsHoldNoSecrets(t *testing.T) {
	s := newHeard(t, false, nil, allKinds...)
	c := s.begin(`{"a":"sesame"}`)
	s.commit(s.open(c), patch(t, `{"a":"sesame2"}`))
	c = *s.commit(s.open(c), session.Changes{Principal: new("alice")}).Ticket
	s.commit(s.open(c), session.Changes{Destroy: true})
	for _, e := range s.seen {
		if e.Manager != "shop" || e.Session != c.ID || e.At.IsZero() || e.Data != nil || strings.Contains(fmt.Sprintf("%+v", e), "sesame") {
			t.Errorf("%s shows %+v", e.Kind, e)
		}
	}
	if len(s.seen) != 4 {
		t.Errorf("%d events", len(s.seen))
	}
}

// TestTheLimitOfAPrincipal: how many sessions somebody may be signed in to,
// and what happens beyond.
func TestTheLimitOfAPrincipal(t *testing.T) {
	limit := func(evict bool) func(*session.Policy) {
		return func(p *session.Policy) { p.MaxPerPrincipal, p.EvictOldest = 2, evict }
	}
	signIn := session.Changes{Principal: new("alice")}
	for _, updater := range []bool{false, true} {
		t.Run(fmt.Sprintf("refuse, updater %v", updater), func(t *testing.T) {
			s := newHeard(t, updater, limit(false), allKinds...)
			first := *s.commit(s.open(), signIn).Ticket
			s.commit(s.open(), signIn)
			s.refused(s.open(), signIn, session.ErrPrincipalLimit)
			s.refused(s.open(s.begin(`{}`)), signIn, session.ErrPrincipalLimit)
			first = *s.commit(s.open(first), signIn).Ticket // the same one again is no further session
			s.commit(s.open(), session.Changes{Principal: new("bob")})
			s.commit(s.open(first), session.Changes{Destroy: true})
			s.commit(s.open(), signIn)
		})
		t.Run(fmt.Sprintf("evict, updater %v", updater), func(t *testing.T) {
			s := newHeard(t, updater, limit(true), allKinds...)
			var creds []session.Credential
			for range 3 {
				creds = append(creds, *s.commit(s.open(), signIn).Ticket)
				s.clock.advance(time.Second)
			}
			if got := s.open(creds[0]).State(); got != session.Expired {
				t.Errorf("the session that began first is %s", got)
			}
			s.data(creds[1])
			s.data(creds[2])
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
					h := s.open()
					if i%2 == 0 {
						h = s.open(s.begin(`{}`))
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
				page, err := s.store.Page(t.Context(), store.Query{Manager: "shop", Principal: "alice", Order: store.ByCreated, Limit: 100})
				if err != nil || len(page.Sessions) != 2 {
					t.Errorf("evict %v: %d sessions, %v", evict, len(page.Sessions), err)
				}
				alive := slices.DeleteFunc(in, func(c session.Credential) bool { return s.open(c).State() != session.Active })
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
	plain := session.Fixed(careless{s.store}) // a store.Store and no more
	ear := session.Subscription{Name: "ear", Kinds: allKinds, Listener: deaf{}}
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
