package session_test

import (
	"context"
	"errors"
	"fmt"
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

// deaf is a listener that gets nothing in these tests.
type deaf struct{}

func (deaf) Handle(context.Context, event.Event) error { return nil }

// heard is a site with a listener of some kinds, and what its process shows.
type heard struct {
	*site
	backend session.Provider
	node    *session.Node
	mu      sync.Mutex
	seen    []event.Event
}

// newHeard returns a site whose manager has the listener "ear".
func newHeard(t *testing.T, updater bool, change func(*session.Policy), kinds ...event.Kind) *heard {
	t.Helper()
	h := &heard{site: newSite(t, nil)}
	var st store.Store = h.Store
	if updater {
		st = h.Store.WithUpdater()
	}
	backend := session.Fixed(st)
	h.backend = backend
	var err error
	if _, h.node, err = backend.Acquire(); err != nil {
		t.Fatal(err)
	}
	var subs []event.Subscription
	if len(kinds) > 0 {
		subs = []event.Subscription{{Name: "ear", Kinds: kinds, Listener: deaf{}}}
	}
	h.Manager = h.manager(backend, change, subs...)
	t.Cleanup(h.node.Subscriptions.Add(map[string][]event.Subscription{"shop": subs}))
	t.Cleanup(h.node.Events.Subscribe(func(e event.Event) {
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
		all = append(all, sessiontest.Words(string(e.Kind), string(e.Reason), e.Keys))
	}
	h.seen = nil
	return strings.Join(all, ", ")
}

// filed returns what waits for the listener, in words, and takes it away.
func (h *heard) filed() string {
	h.T.Helper()
	var all []string
	for {
		due, _, err := h.Store.Deliveries(h.T.Context(), "ear", 100)
		if err != nil {
			h.T.Fatal(err)
		}
		if len(due) == 0 {
			return strings.Join(all, ", ")
		}
		for _, d := range due {
			all = append(all, sessiontest.Words(string(d.Kind), string(d.Reason), d.Keys))
			if err := h.Store.Settle(h.T.Context(), store.Settlement{ID: d.ID, Delivered: true}); err != nil {
				h.T.Fatal(err)
			}
		}
	}
}

// TestWhatIsTold: what each commit files for a listener, and shows to those that
// watches the process.
func TestWhatIsTold(t *testing.T) {
	for _, updater := range []bool{false, true} {
		for _, tc := range []struct {
			name    string
			changes change.Changes
			told    string
		}{
			{"nothing", change.Changes{}, ""},
			{"a touch", change.Changes{Touch: true}, ""},
			{"a patch", sessiontest.MergePatch(t, `{"a":2,"new":1,"o":{"x":9},"gone":null}`), "save a+o+new+gone"},
			{"a patch that changes nothing", sessiontest.MergePatch(t, `{"a":1,"none":null}`), ""},
			{"a name with escapes", sessiontest.MergePatch(t, `{"\u00e9\n":1}`), "save é\n"},
			{"an addition", add(t, `{"a":1}`), "save a"},
			{"a replacement", replace(`{"b":1}`), "save b+a+o+gone"},
			{"a timeout", change.Changes{Timeout: &change.Timeout{Idle: time.Minute}}, ""},
			{"regenerate", change.Changes{Regenerate: true}, "rotate"},
			{"a login that writes", change.Changes{Principal: new("alice"), Ops: sessiontest.MergePatch(t, `{"a":2}`).Ops}, "save a, rotate"},
			{"destroy", change.Changes{Destroy: true, Ops: replace(`{}`).Ops}, "delete destroyed"},
		} {
			t.Run(fmt.Sprintf("%s, updater %v", tc.name, updater), func(t *testing.T) {
				s := newHeard(t, updater, nil, sessiontest.AllKinds...)
				c := s.Begin(`{"a":1,"o":{"x":1},"gone":true}`)
				if shown, filed := s.shown(), s.filed(); shown != "create" || filed != "create" {
					t.Fatalf("at the beginning: shown %q, filed %q", shown, filed)
				}
				s.Commit(s.Open(c), tc.changes)
				if shown, filed := s.shown(), s.filed(); shown != tc.told || filed != tc.told {
					t.Errorf("shown %q, filed %q, want %q", shown, filed, tc.told)
				}
			})
			t.Run(fmt.Sprintf("%s, on newer data, updater %v", tc.name, updater), func(t *testing.T) {
				s := newHeard(t, updater, nil, sessiontest.AllKinds...)
				h := s.Open(s.Begin(`{"a":1,"o":{"x":1},"gone":true}`))
				s.Store.Before = func(op string, key store.Key) error {
					if op == "save" || op == "delete" { // another request is faster
						s.Store.Before = nil
						rec, err := s.Store.Load(t.Context(), key)
						if err != nil {
							return err
						}
						before := rec.Version
						rec.Version = before.Next()
						return s.Store.Save(t.Context(), key, store.Write{Record: rec}, store.IfVersion(before))
					}
					return nil
				}
				s.shown()
				s.filed()
				s.Commit(h, tc.changes)
				if shown, filed := s.shown(), s.filed(); shown != tc.told || filed != tc.told {
					t.Errorf("shown %q, filed %q, want %q", shown, filed, tc.told)
				}
			})
		}
	}
}

// TestWhatAListenerHears: it is told of what it wants to hear alone, and names
// of keys are found out only where a listener wants them.
func TestWhatAListenerHears(t *testing.T) {
	for _, tc := range []struct {
		kinds        []event.Kind
		filed, shown string
	}{
		{nil, "", "create, save, rotate, delete destroyed"},
		{[]event.Kind{event.Create}, "create", "create, save, rotate, delete destroyed"},
		{[]event.Kind{event.Save}, "save a", "create, save a, rotate, delete destroyed"},
		{[]event.Kind{event.Rotate}, "rotate", "create, save, rotate, delete destroyed"},
		{[]event.Kind{event.Delete}, "delete destroyed", "create, save, rotate, delete destroyed"},
		{[]event.Kind{event.Rollback}, "", "create, save, rotate, delete destroyed"},
	} {
		t.Run(fmt.Sprint(tc.kinds), func(t *testing.T) {
			s := newHeard(t, false, nil, tc.kinds...)
			c := s.Begin(`{}`)
			s.Commit(s.Open(c), sessiontest.MergePatch(t, `{"a":1}`))
			c = *s.Commit(s.Open(c), change.Changes{Regenerate: true}).Ticket
			s.Commit(s.Open(c), change.Changes{Destroy: true})
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
// does not make, tells no listener.
func TestNothingIsToldOfWhatFails(t *testing.T) {
	s := newHeard(t, false, locking(session.Optimistic), sessiontest.AllKinds...)
	c := s.Begin(`{"a":1}`)
	late, broken := s.Open(c), s.Open(c)
	s.Commit(s.Open(c), sessiontest.MergePatch(t, `{"a":2}`))
	s.shown()
	s.filed()
	s.refused(late, sessiontest.MergePatch(t, `{"a":3}`), change.ErrConflict)
	s.Store.Before = func(op string, _ store.Key) error {
		if op == "save" {
			return errors.New("broken")
		}
		return nil
	}
	if _, err := broken.Commit(t.Context(), sessiontest.MergePatch(t, `{"a":3}`)); !errors.Is(err, session.ErrUnavailable) {
		t.Fatal(err)
	}
	if shown, filed := s.shown(), s.filed(); shown+filed != "" {
		t.Errorf("shown %q, filed %q", shown, filed)
	}
}

// TestRollbacksAreTold: each way to drop a request's writes, and no other way
// for a request to end.
func TestRollbacksAreTold(t *testing.T) {
	write := sessiontest.MergePatch(t, `{"a":2}`)
	for _, tc := range []struct {
		name string
		end  func(*heard, *session.Session)
		want string
	}{
		{"nothing to drop", func(_ *heard, h *session.Session) { h.Rollback() }, ""},
		{"a touch is no write", func(s *heard, h *session.Session) { s.Stage(h, change.Changes{Touch: true}); h.Rollback() }, ""},
		{"staged writes", func(s *heard, h *session.Session) { s.Stage(h, write); h.Rollback(); h.Rollback() }, "rollback"},
		{"unstaged", func(s *heard, h *session.Session) { s.Stage(h, write); h.Unstage(); h.Unstage(); h.Rollback() }, "rollback"},
		{"said so", func(s *heard, h *session.Session) {
			s.Commit(h, change.Changes{Ops: write.Ops, Rollback: true})
			h.Rollback()
		}, "rollback"},
		{"said so, with nothing to drop", func(s *heard, h *session.Session) { s.Commit(h, change.Changes{Rollback: true}) }, ""},
		{"discarded", func(_ *heard, h *session.Session) { h.RollbackAll(); h.Rollback() }, "rollback"},
		{"discarded after a commit", func(s *heard, h *session.Session) { s.Commit(h, write); h.RollbackAll() }, "save a, rollback"},
		{"committed", func(s *heard, h *session.Session) { s.Stage(h, write); s.Commit(h, change.Changes{}); h.Rollback() }, "save a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newHeard(t, false, nil, sessiontest.AllKinds...)
			h := s.Open(s.Begin(`{"a":1}`))
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
		s := newHeard(t, false, nil, sessiontest.AllKinds...)
		c := s.Begin(`{"a":1}`)
		s.shown()
		h, err := s.Manager.Open(t.Context(), session.Request{Credentials: []session.Credential{c}, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		h.RollbackAll()
		if got := s.shown(); got != "" {
			t.Errorf("shown %q", got)
		}
	})
}

// TestEventsHoldNoSecrets: neither values nor tickets, and of the end no data.
func TestEventsHoldNoSecrets(t *testing.T) {
	s := newHeard(t, false, nil, sessiontest.AllKinds...)
	c := s.Begin(`{"a":"sesame"}`)
	s.Commit(s.Open(c), sessiontest.MergePatch(t, `{"a":"sesame2"}`))
	c = *s.Commit(s.Open(c), change.Changes{Principal: new("alice")}).Ticket
	s.Commit(s.Open(c), change.Changes{Destroy: true})
	for _, e := range s.seen {
		if e.Manager != "shop" || e.Session != c.ID || e.At.IsZero() || e.Data != nil || strings.Contains(fmt.Sprintf("%+v", e), "sesame") {
			t.Errorf("%s shows %+v", e.Kind, e)
		}
	}
	if len(s.seen) != 4 {
		t.Errorf("%d events", len(s.seen))
	}
}
