package session_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// clock is a time that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// site is a manager with a clock of the test.
type site struct {
	*sessiontest.Site
	clock *clock
}

func newSite(t *testing.T, change func(*session.Policy)) *site {
	t.Helper()
	s := unmanaged(t)
	s.Manager = s.manager(session.Fixed(s.Store), change)
	return s
}

// unmanaged returns a site that has no manager yet.
func unmanaged(t *testing.T) *site {
	c := newClock()
	return &site{Site: &sessiontest.Site{T: t, Store: memstore.New(c.Now)}, clock: c}
}

func (s *site) manager(p session.Provider, change func(*session.Policy), subs ...event.Subscription) *session.Manager {
	s.T.Helper()
	return sessiontest.NewManager(s.T, change, session.Options{Provider: p, Now: s.clock.Now, Listeners: subs})
}

func locking(l session.Locking) func(*session.Policy) {
	return func(p *session.Policy) { p.Locking = l }
}

// refused expects an error, and the record as it was.
func (s *site) refused(h *session.Session, c change.Changes, want error) {
	s.T.Helper()
	before, errBefore := s.Store.Load(s.T.Context(), store.Key{Manager: "shop", ID: h.ID()})
	if _, err := h.Commit(s.T.Context(), c); !errors.Is(err, want) {
		s.T.Fatalf("got %v, want %v", err, want)
	}
	after, errAfter := s.Store.Load(s.T.Context(), store.Key{Manager: "shop", ID: h.ID()})
	if (errAfter == nil) != (errBefore == nil) || before.Version != after.Version || string(before.Data) != string(after.Data) {
		s.T.Fatalf("the refused commit changed the record: %+v became %+v", before, after)
	}
}

func replace(data string) change.Changes {
	return change.Changes{Ops: []change.Op{change.Replace([]byte(data))}}
}

func add(t *testing.T, text string) change.Changes {
	t.Helper()
	a, err := document.ParseIncrements([]byte(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	return change.Changes{Ops: []change.Op{change.Add(a)}}
}
