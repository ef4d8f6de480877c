package session_test

import (
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
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

// site is one manager on a store in memory.
type site struct {
	t     *testing.T
	clock *clock
	store *memstore.Store
	m     *session.Manager
}

func newSite(t *testing.T, change func(*session.Policy)) *site {
	t.Helper()
	c := newClock()
	s := &site{t: t, clock: c, store: memstore.New(c.Now)}
	s.m = s.manager(session.Fixed(s.store), change)
	return s
}

func (s *site) manager(b session.Backend, change func(*session.Policy), subs ...session.Subscription) *session.Manager {
	s.t.Helper()
	policy := session.DefaultPolicy()
	if change != nil {
		change(&policy)
	}
	m, err := session.NewManager("shop", policy, session.Options{Backend: b, Mint: mint, Now: s.clock.Now, Listeners: subs})
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

func locking(l session.Locking) func(*session.Policy) {
	return func(p *session.Policy) { p.Locking = l }
}

func mint() (c session.Credential) {
	_, _ = rand.Read(c.Number[:])
	_, _ = rand.Read(c.Nonce[:])
	c.ID = store.ID(c.Number) // one-way in the product; here it need not be
	return c
}

func (s *site) open(creds ...session.Credential) *session.Session {
	s.t.Helper()
	h, err := s.m.Open(s.t.Context(), session.Request{Credentials: creds})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(h.Rollback)
	return h
}

func (s *site) commit(h *session.Session, c session.Changes) session.Outcome {
	s.t.Helper()
	out, err := h.Commit(s.t.Context(), c)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// begin makes a session with that data and returns the way in.
func (s *site) begin(data string) session.Credential {
	s.t.Helper()
	out := s.commit(s.open(), session.Changes{Steps: []session.Step{session.Replace([]byte(data))}})
	if out.Ticket == nil || !out.Created {
		s.t.Fatalf("no session was begun: %+v", out)
	}
	return *out.Ticket
}

// refused expects an error, and the record as it was.
func (s *site) refused(h *session.Session, c session.Changes, want error) {
	s.t.Helper()
	before, errBefore := s.store.Load(s.t.Context(), store.Key{Manager: "shop", ID: h.ID()})
	if _, err := h.Commit(s.t.Context(), c); !errors.Is(err, want) {
		s.t.Fatalf("got %v, want %v", err, want)
	}
	after, errAfter := s.store.Load(s.t.Context(), store.Key{Manager: "shop", ID: h.ID()})
	if (errAfter == nil) != (errBefore == nil) || before.Version != after.Version || string(before.Data) != string(after.Data) {
		s.t.Fatalf("the refused commit changed the record: %+v became %+v", before, after)
	}
}

func (s *site) data(c session.Credential) string {
	s.t.Helper()
	h := s.open(c)
	defer h.Rollback()
	if h.State() != session.Active {
		s.t.Fatalf("session is %s", h.State())
	}
	return string(h.Data())
}

func patch(t *testing.T, text string) session.Changes {
	t.Helper()
	return session.Changes{Steps: []session.Step{session.Patch(mergePatch(t, text))}}
}

func mergePatch(t *testing.T, text string) document.Changes {
	t.Helper()
	p, err := document.ParsePatch([]byte(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func replace(data string) session.Changes {
	return session.Changes{Steps: []session.Step{session.Replace([]byte(data))}}
}

func add(t *testing.T, text string) session.Changes {
	t.Helper()
	a, err := document.ParseAdditions([]byte(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	return session.Changes{Steps: []session.Step{session.Add(a)}}
}
