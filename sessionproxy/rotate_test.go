package sessionproxy_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

const rotateEvery, grace = 10 * time.Minute, 10 * time.Second

func rotating(_ *sessionproxy.Config, p *session.Policy) {
	p.RotateEvery, p.RotateGrace = rotateEvery, grace
}

func ticketIn(c *http.Cookie) http.Header {
	return http.Header{"Cookie": {cookieName + "=" + c.Value}}
}

// TestATicketIsReplacedByTimer: the browser gets the new one with whatever
// response comes next, and has the old one for a while.
func TestATicketIsReplacedByTimer(t *testing.T) {
	for _, tc := range []struct {
		name string
		path string
		app  func(http.ResponseWriter, *http.Request)
		// Whether the response replaces the ticket, and whether one to the
		// old ticket carries the new one.
		replaces bool
	}{
		{"reading", "/", writes(), true},
		{"writing", "/", writes("Session-Patch", `{"a":2}`), true},
		{"nothing found", "/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, true},
		{"no response at all", "/", func(http.ResponseWriter, *http.Request) {}, true},
		{"read-only", "/readonly", writes(), false},
		{"a failure", "/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, false},
		{"a bad write", "/", writes("Session-Patch", `{`), false},
		{"a rollback", "/", writes("Session-Action", "rollback"), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, rotating)
			old := r.begin(`{"a":1}`)
			if got := r.do(http.MethodGet, tc.path, old, tc.app); got.cookie != nil {
				t.Fatalf("too early: %v", got.cookie)
			}
			r.now = r.now.Add(rotateEvery)
			got := r.do(http.MethodGet, tc.path, old, tc.app)
			if (got.cookie != nil) != tc.replaces {
				t.Fatalf("got %v", got.cookie)
			}
			if !tc.replaces {
				got = r.do(http.MethodGet, "/", old, writes())
			}
			if got.header.Get("Cache-Control") != "no-store" {
				t.Error("the response may be stored")
			}
			current := got.cookie
			if got := r.do(http.MethodGet, tc.path, ticketIn(current), tc.app); got.cookie != nil {
				t.Error("who has the current ticket gets it again")
			}
			got = r.do(http.MethodGet, tc.path, old, tc.app)
			if got.cookie == nil || got.cookie.Value != current.Value || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("the old ticket gets %v", got.cookie)
			}
			r.do(http.MethodGet, "/", ticketIn(current), writes()) // it has arrived
			r.now = r.now.Add(grace)
			if got := r.seen(old).Get("Session-State"); got != "expired" {
				t.Errorf("after the grace it is %s", got)
			}
			if got := r.seen(ticketIn(current)).Get("Session-State"); got != "active" {
				t.Errorf("the current one is %s", got)
			}
		})
	}
}

// TestNoTicketIsReplacedInVain: by a response that does not reach the browser,
// or cannot say it, the old one stays.
func TestNoTicketIsReplacedInVain(t *testing.T) {
	t.Run("the client has gone", func(t *testing.T) {
		for _, write := range []string{"", `{"a":2}`} {
			r := newRig(t, rotating)
			in := r.begin(`{"a":1}`)
			r.now = r.now.Add(rotateEvery)
			ctx, cancel := context.WithCancel(t.Context())
			req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
			req.Header = in.Clone()
			w := httptest.NewRecorder()
			if err := r.handler.Serve(w, req, func(w http.ResponseWriter, _ *http.Request) error {
				cancel()
				if write != "" {
					w.Header().Set("Session-Patch", write)
				}
				w.WriteHeader(http.StatusOK)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if got := w.Header().Values("Set-Cookie"); got != nil {
				t.Errorf("writing %q: got %v", write, got)
			}
			r.now = r.now.Add(grace)
			r.data(in)
		}
	})
	t.Run("there is no key", func(t *testing.T) {
		var broken atomic.Bool
		r := newRig(t, func(c *sessionproxy.Config, p *session.Policy) {
			rotating(c, p)
			ring := c.Ring
			c.Ring = func() (*ticket.Ring, error) {
				if broken.Load() {
					return nil, errStore
				}
				return ring()
			}
		})
		in := r.begin(`{}`)
		r.now = r.now.Add(rotateEvery)
		got := r.do(http.MethodGet, "/", in, func(http.ResponseWriter, *http.Request) { broken.Store(true) })
		if broken.Store(false); got.status != http.StatusOK || got.cookie != nil {
			t.Errorf("got %d, %v", got.status, got.cookie)
		}
		r.now = r.now.Add(grace)
		r.data(in)
	})
	t.Run("by a write in a stream", func(t *testing.T) {
		e := newEndpointRig(t, rotating)
		in := e.begin(`{}`)
		got := e.do(http.MethodGet, "/", in, func(w http.ResponseWriter, req *http.Request) {
			w.WriteHeader(http.StatusOK)
			e.now = e.now.Add(rotateEvery)
			if a := e.call(http.MethodPatch, endpointOf(req)+"/data", `{"late":1}`, "Content-Type", "application/json"); a.status != http.StatusOK {
				t.Errorf("got %d", a.status)
			}
		})
		e.now = e.now.Add(grace)
		if data := e.data(in); got.cookie != nil || data != `{"late":1}` {
			t.Errorf("got %v, %s", got.cookie, data)
		}
	})
}

// TestAStreamOutlivesManyRotations: its writes go on.
func TestAStreamOutlivesManyRotations(t *testing.T) {
	e := newEndpointRig(t, rotating)
	in := e.begin(`{}`)
	e.do(http.MethodGet, "/", in, func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusOK)
		for range 3 {
			e.now = e.now.Add(rotateEvery)
			w := httptest.NewRecorder()
			other := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			other.Header = in.Clone()
			if err := e.handler.Serve(w, other, func(w http.ResponseWriter, _ *http.Request) error { return nil }); err != nil {
				t.Fatal(err)
			}
			in = ticketIn(w.Result().Cookies()[0])
			serve(t, e.handler, in, func(http.ResponseWriter, *http.Request) {}) // it has arrived
		}
		if a := e.call(http.MethodPatch, endpointOf(req)+"/data", `{"late":1}`, "Content-Type", "application/json"); a.status != http.StatusOK {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})
	if got := e.data(in); got != `{"late":1}` {
		t.Errorf("data is %s", got)
	}
}

// TestTheLimitOfAPrincipalIsAProblem for the browser, and for the endpoint.
func TestTheLimitOfAPrincipalIsAProblem(t *testing.T) {
	e := newEndpointRig(t, func(_ *sessionproxy.Config, p *session.Policy) { p.MaxPerPrincipal = 1 })
	signIn := writes("Session-Principal", `"alice"`)
	if got := e.do(http.MethodGet, "/", nil, signIn); got.status != http.StatusOK {
		t.Fatalf("got %d", got.status)
	}
	in := e.begin(`{"a":1}`)
	e.refuses(e.do(http.MethodGet, "/", in, signIn), http.StatusConflict, sessionproxy.TypeLimit)
	e.do(http.MethodGet, "/", in, func(_ http.ResponseWriter, req *http.Request) {
		e.call(http.MethodPut, endpointOf(req)+"/principal", `"alice"`, "Content-Type", "application/json")
		a := e.call(http.MethodPost, endpointOf(req)+"/commit", "")
		if a.status != http.StatusConflict || problemOf(a) != sessionproxy.TypeLimit {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})
	if got := e.data(in); got != `{"a":1}` {
		t.Errorf("data is %s", got)
	}
}

// TestRollbacksAreShown: each way in which the writes of a request are dropped.
func TestRollbacksAreShown(t *testing.T) {
	errApp := errors.New("the app broke off")
	for _, tc := range []struct {
		name string
		app  func(*endpointRig, http.ResponseWriter, *http.Request) error
		want int
	}{
		{"success", func(_ *endpointRig, w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Session-Patch", `{"a":2}`)
			return nil
		}, 0},
		{"a failure without writes", func(_ *endpointRig, w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusInternalServerError)
			return nil
		}, 0},
		{"a failure with writes", func(_ *endpointRig, w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Session-Patch", `{"a":2}`)
			w.WriteHeader(http.StatusInternalServerError)
			return nil
		}, 1},
		{"a failure with writes of both kinds", func(e *endpointRig, w http.ResponseWriter, r *http.Request) error {
			e.call(http.MethodPatch, endpointOf(r)+"/data", `{"a":3}`, "Content-Type", "application/json")
			w.Header().Set("Session-Patch", `{"a":2}`)
			w.WriteHeader(http.StatusInternalServerError)
			return nil
		}, 1},
		{"a failure with writes at the endpoint", func(e *endpointRig, w http.ResponseWriter, r *http.Request) error {
			e.call(http.MethodPatch, endpointOf(r)+"/data", `{"a":3}`, "Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			return nil
		}, 1},
		{"said so", func(_ *endpointRig, w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Session-Patch", `{"a":2}`)
			w.Header().Set("Session-Action", "rollback")
			return nil
		}, 1},
		{"said so at the endpoint", func(e *endpointRig, _ http.ResponseWriter, r *http.Request) error {
			e.call(http.MethodPatch, endpointOf(r)+"/data", `{"a":3}`, "Content-Type", "application/json")
			e.call(http.MethodPost, endpointOf(r)+"/rollback", "")
			return nil
		}, 1},
		{"an error before any response", func(e *endpointRig, _ http.ResponseWriter, r *http.Request) error {
			e.call(http.MethodPatch, endpointOf(r)+"/data", `{"a":3}`, "Content-Type", "application/json")
			return errApp
		}, 1},
		{"an error with headers", func(_ *endpointRig, w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Session-Patch", `{"a":2}`)
			return errApp
		}, 1},
		{"a panic", func(e *endpointRig, w http.ResponseWriter, r *http.Request) error {
			e.call(http.MethodPatch, endpointOf(r)+"/data", `{"a":3}`, "Content-Type", "application/json")
			w.Header().Set("Session-Patch", `{"a":2}`)
			panic(http.ErrAbortHandler)
		}, 1},
		{"after a commit", func(e *endpointRig, w http.ResponseWriter, r *http.Request) error {
			e.call(http.MethodPatch, endpointOf(r)+"/data", `{"b":1}`, "Content-Type", "application/json")
			e.call(http.MethodPost, endpointOf(r)+"/commit", "")
			w.Header().Set("Session-Patch", `{"a":2}`)
			w.WriteHeader(http.StatusInternalServerError)
			return nil
		}, 1},
		{"a refused write", func(_ *endpointRig, w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Session-If-Version", `"1-0000000000000001"`)
			return nil
		}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := newEndpointRig(t, nil)
			in := e.begin(`{"a":1}`)
			var shown atomic.Int64
			defer e.node.Events.Subscribe(func(ev event.Event) {
				if ev.Kind == event.Rollback && ev.Manager == "shop" {
					shown.Add(1)
				}
			})()
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			req.Header = in.Clone()
			func() {
				defer func() { _ = recover() }()
				_ = e.handler.Serve(httptest.NewRecorder(), req, func(w http.ResponseWriter, r *http.Request) error { return tc.app(e, w, r) })
			}()
			if got := int(shown.Load()); got != tc.want {
				t.Errorf("%d rollbacks, want %d", got, tc.want)
			}
		})
	}
}
