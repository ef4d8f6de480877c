package sessionproxy_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/delivery"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// TestConflictsAreCountedOnce has another request commit first, and looks for
// the one word that says how that was settled.
func TestConflictsAreCountedOnce(t *testing.T) {
	optimistic := func(restarts int, merge bool) func(*sessionproxy.Config, *session.Policy) {
		return restarting(restarts, merge)
	}
	for name, c := range map[string]struct {
		policy        func(*sessionproxy.Config, *session.Policy)
		other, writes string
		meddles       int
		outcome       string // or empty
	}{
		"no other request":    {nil, "", `{"a":1}`, 0, ""},
		"lossy, another key":  {nil, `{"b":1}`, `{"a":1}`, 1, "reapplied"},
		"lossy, the same key": {nil, `{"a":2}`, `{"a":1}`, 1, "reapplied"},
		"merged":              {optimistic(0, true), `{"b":1}`, `{"a":1}`, 1, "merged"},
		"not to be merged":    {optimistic(0, true), `{"a":2}`, `{"a":1}`, 1, "refused"},
		"restarted":           {optimistic(1, false), `{"a":2}`, `{"a":1}`, 1, "restarted"},
		"restarted twice":     {optimistic(2, false), `{"a":2}`, `{"a":1}`, 2, "restarted"},
		"restarted in vain":   {optimistic(1, false), `{"a":2}`, `{"a":1}`, 2, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.policy)
			in := r.begin(`{"n":0}`)
			attempts := 0
			r.do("GET", "/", in, func(w http.ResponseWriter, _ *http.Request) {
				if attempts++; attempts <= c.meddles {
					r.meddle(in, fmt.Sprintf(`{"turn":%d,%s`, attempts, c.other[1:]))
				}
				w.Header().Set("Session-Patch", c.writes)
			})
			for _, outcome := range []string{"reapplied", "merged", "restarted", "refused"} {
				want := 0.0
				if outcome == c.outcome {
					want = 1
				}
				if got := r.counter("conflicts_total", "manager", "shop", "outcome", outcome); got != want {
					t.Errorf("%v are counted as %s, want %v", got, outcome, want)
				}
			}
		})
	}
}

func TestConflictsOfTheEndpointAreCounted(t *testing.T) {
	e := newEndpointRig(t, restarting(0, false))
	in := e.begin(`{"n":0}`)
	e.do("GET", "/", in, func(_ http.ResponseWriter, r *http.Request) {
		e.call("PATCH", endpointOf(r)+"/data", `{"n":1}`, "Content-Type", "application/merge-patch+json")
		e.meddle(in, `{"n":2}`)
		if got := e.call("POST", endpointOf(r)+"/commit", ""); got.status != http.StatusConflict {
			t.Errorf("an early commit: %d", got.status)
		}
	})
	if n := e.counter("conflicts_total", "outcome", "refused"); n != 1 {
		t.Errorf("%v conflicts are counted", n)
	}
}

func TestInjectedBytes(t *testing.T) {
	r := newRig(t, nil)
	in := r.begin(`{"n":0}`)
	before := r.counter("injected_bytes_total")
	seen := r.seen(in)
	size := 0
	for _, name := range []string{"Session-Id", "Session-State", "Session-Meta", "Session-Data"} {
		size += len(seen.Get(name))
	}
	if got := r.counter("injected_bytes_total", "manager", "shop") - before; int(got) != size || size < 60 {
		t.Errorf("%v bytes are counted, and the app saw %d", got, size)
	}
}

func TestRefusedHears(t *testing.T) {
	var heard []string
	r := newRig(t, func(c *sessionproxy.Config, _ *session.Policy) {
		c.Refused = func(kind string) { heard = append(heard, kind) }
	})
	in := r.begin(`{"n":0}`)
	value := in.Get("Cookie")[len(cookieName)+1:]
	for name, c := range map[string]struct {
		header http.Header
		want   []string
	}{
		"nothing":          {in, nil},
		"no ticket":        {http.Header{}, nil},
		"malformed":        {http.Header{"Cookie": {cookieName + "=x"}}, []string{"malformed"}},
		"forged":           {http.Header{"Cookie": {cookieName + "=" + flipped(value)}}, []string{"forged"}},
		"spoofed, once":    {http.Header{"Session-Id": {"me"}, "Session-Data": {"{}"}}, []string{"spoofed"}},
		"several in a row": {http.Header{"Cookie": {cookieName + "=x; " + cookieName + "=" + value}, "Session-Id": {"me"}}, []string{"spoofed", "malformed"}},
	} {
		heard = nil
		if r.do("GET", "/", c.header, writes()); !slices.Equal(heard, c.want) {
			t.Errorf("%s: heard %q, want %q", name, heard, c.want)
		}
	}
}

// flipped changes one character in the middle of a ticket.
func flipped(ticket string) string {
	b := []byte(ticket)
	if i := len(b) / 2; b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

func TestEventsAreCounted(t *testing.T) {
	metrics := sessionproxy.NewMetrics()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.Collectors()...)
	memory := memstore.New(time.Now)
	local := session.NewNode(memory)
	local.Events.Subscribe(metrics.ObserveEvent)
	for i, reason := range store.Reasons() {
		key := store.Key{Manager: "shop", ID: store.ID{byte(i)}}
		rec := store.Record{Data: []byte("{}"), Accessed: time.Now(), Idle: time.Hour, Absolute: time.Now().Add(time.Hour), Incarnation: 1, Version: store.Version{}.Next()}
		if err := memory.Save(t.Context(), key, store.Write{Record: rec}, store.Create()); err != nil {
			t.Fatal(err)
		}
		if err := memory.Delete(t.Context(), key, reason); err != nil {
			t.Fatal(err)
		}
		if n := sampled(t, registry, "caddy_sessions_ended_total", "manager", "shop", "reason", string(reason)); n != 1 {
			t.Errorf("%v ends are counted as %s", n, reason)
		}
	}
	for _, kind := range []event.Kind{event.Create, event.Save, event.Rotate, event.Rollback} {
		metrics.ObserveEvent(event.Event{Kind: kind, Manager: "shop"})
	}
	if n := sampled(t, registry, "caddy_sessions_rotated_total", "manager", "shop"); n != 1 {
		t.Errorf("%v rotations are counted", n)
	}
}

func TestDeliveriesAreCounted(t *testing.T) {
	metrics := sessionproxy.NewMetrics()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.Collectors()...)
	outcomes := []delivery.Result{delivery.Delivered, delivery.Retried, delivery.Dead, delivery.Dropped, "lost"}
	for _, result := range outcomes[:4] {
		metrics.ObserveAttempt(delivery.Attempt{Listener: "shop/webhook/1", Result: result, Err: errors.New("status 500 of https://secret.example")})
	}
	metrics.ObserveDropped("shop/webhook/1")
	for _, outcome := range outcomes {
		if n := sampled(t, registry, "caddy_sessions_deliveries_total", "listener", "shop/webhook/1", "outcome", string(outcome)); n != 1 {
			t.Errorf("%v are counted as %s", n, outcome)
		}
	}
}

// TestLockWaits counts those that found the lock taken, and no others.
func TestLockWaits(t *testing.T) {
	metrics := sessionproxy.NewMetrics()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.Collectors()...)
	policy := session.DefaultPolicy()
	policy.Locking, policy.Wait = session.Serialized, 0
	var followed []session.TraceStep
	m, err := session.NewManager("shop", policy, session.Options{
		Provider: session.Fixed(memstore.New(time.Now)), NewCredential: sessionproxy.CredentialSource("shop"),
		Trace: metrics.Trace("shop", func(ctx context.Context, step session.TraceStep) (context.Context, func(session.Traced)) {
			followed = append(followed, step)
			return ctx, func(session.Traced) { followed = append(followed, "end of "+step) }
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Open(t.Context(), session.Request{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Commit(t.Context(), change.Changes{Ops: []change.Op{change.Replace([]byte(`{"a":1}`))}})
	if err != nil {
		t.Fatal(err)
	}
	request := session.Request{Credentials: []session.Credential{*out.Ticket}}
	if s, err = m.Open(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	defer s.Rollback()
	if n := sampled(t, registry, "caddy_sessions_lock_wait_seconds", "manager", "shop"); n != 0 {
		t.Errorf("%v waits are counted, and the lock was free", n)
	}
	followed = nil
	if _, err := m.Open(t.Context(), request); !errors.Is(err, lock.ErrLocked) {
		t.Fatalf("the lock was to be had: %v", err)
	}
	if n := sampled(t, registry, "caddy_sessions_lock_wait_seconds", "manager", "shop"); n != 1 {
		t.Errorf("%v waits are counted", n)
	}
	want := []session.TraceStep{session.TraceOpen, session.TraceLockWait, "end of " + session.TraceLockWait, "end of " + session.TraceOpen}
	if !slices.Equal(followed, want) {
		t.Errorf("followed %q", followed)
	}
}
