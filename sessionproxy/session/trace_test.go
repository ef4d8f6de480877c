package session_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// tracer writes down the steps that it follows: when they begin, and what
// they come to. Inside of a step it finds the outer one in the context.
type tracer struct {
	mu    sync.Mutex
	steps []string
	last  session.Traced
	deaf  bool // it follows nothing
}

type outerStep struct{}

func (r *tracer) trace(ctx context.Context, step session.TraceStep) (context.Context, func(session.Traced)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deaf {
		r.steps = append(r.steps, string(step)+" unheard")
		return ctx, nil
	}
	outer, _ := ctx.Value(outerStep{}).(session.TraceStep)
	return context.WithValue(ctx, outerStep{}, step), func(t session.Traced) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.last = t
		r.steps = append(r.steps, fmt.Sprintf("%s in %q: %s %s %v", step, outer, t.State, t.Outcome, t.Failed))
	}
}

// took returns the steps since the last call.
func (r *tracer) took() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.steps = nil }()
	return r.steps
}

func (s *site) traced(change func(*session.Policy)) *tracer {
	s.T.Helper()
	r, policy := new(tracer), session.DefaultPolicy()
	if change != nil {
		change(&policy)
	}
	var err error
	s.Manager, err = session.NewManager("shop", policy, session.Options{
		Provider: session.Fixed(s.Store), NewCredential: sessiontest.Credential, Now: s.clock.Now, Trace: r.trace,
	})
	if err != nil {
		s.T.Fatal(err)
	}
	return r
}

func TestTrace(t *testing.T) {
	s := newSite(t, nil)
	tr := s.traced(func(p *session.Policy) { p.Locking, p.Wait = session.Serialized, 0 })
	wants := func(what string, want ...string) {
		t.Helper()
		if got := tr.took(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	cred := s.Begin(`{"a":1}`)
	wants("a new session",
		`session.open in "": new ok false`,
		`session.commit in "": new created false`)

	h := s.Open(cred)
	if tr.last.Session != h.ID() {
		t.Errorf("the opening is one of %s, not of %s", tr.last.Session, h.ID())
	}
	wants("an opening", `session.load in "session.open":  ok false`, `session.open in "": active ok false`)

	if _, err := s.Manager.Open(t.Context(), session.Request{Credentials: []session.Credential{cred}}); err == nil {
		t.Fatal("the lock was taken twice")
	}
	wants("a lock that is taken",
		`session.lock_wait in "session.open":  locked true`,
		`session.open in "":  locked true`)

	s.Commit(h, change.Changes{})
	wants("a commit of nothing", `session.commit in "": active unchanged false`)
	s.Commit(s.Open(cred), sessiontest.MergePatch(t, `{"a":2}`))
	if got := tr.took(); got[len(got)-1] != `session.commit in "": active saved false` {
		t.Errorf("a commit: %q", got)
	}
	s.refused(s.Open(cred), replace(`{"a":"`+string(make([]byte, 1<<20))+`"}`), change.ErrTooLarge)
	if got := tr.took(); got[len(got)-1] != `session.commit in "": active too_large true` {
		t.Errorf("a commit that fails: %q", got)
	}
	cred = *s.Commit(s.Open(cred), change.Changes{Regenerate: true}).Ticket
	if got := tr.took(); got[len(got)-1] != `session.commit in "": active rotated false` {
		t.Errorf("a rotation: %q", got)
	}
	s.Commit(s.Open(cred), change.Changes{Destroy: true})
	if got := tr.took(); got[len(got)-1] != `session.commit in "": active destroyed false` {
		t.Errorf("an end: %q", got)
	}
	s.Open(cred)
	wants("an opening of what has ended", `session.load in "session.open":  gone false`, `session.open in "": expired ok false`)

	s.Store.Before = func(string, store.Key) error { return store.ErrUnavailable }
	if _, err := s.Manager.Open(t.Context(), session.Request{Credentials: []session.Credential{cred}}); err == nil {
		t.Fatal("a broken store opens sessions")
	}
	wants("a broken store", `session.load in "session.open":  unavailable true`, `session.open in "":  unavailable true`)
}

// TestTraceUnheard asks once per request, and not for each step of it; the
// waiting for a lock is asked about all the same.
func TestTraceUnheard(t *testing.T) {
	s := newSite(t, nil)
	tr := s.traced(func(p *session.Policy) { p.Locking, p.Wait = session.Serialized, 0 })
	tr.deaf = true
	cred := s.Begin(`{"a":1}`)
	h := s.Open(cred)
	_, _ = s.Manager.Open(t.Context(), session.Request{Credentials: []session.Credential{cred}})
	s.Commit(h, sessiontest.MergePatch(t, `{"a":2}`))
	want := []string{"session.open unheard", "session.open unheard", "session.open unheard", "session.lock_wait unheard"}
	if got := tr.took(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
