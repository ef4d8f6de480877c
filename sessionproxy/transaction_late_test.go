package sessionproxy_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

// Without a key no ticket can follow, so nothing may be stored: the session
// would be of no request.
func TestNothingIsStoredWithoutAKey(t *testing.T) {
	var broken atomic.Bool
	r := newRig(t, func(c *sessionproxy.Config, _ *session.Policy) {
		ring := c.Ring
		c.Ring = func() (*ticket.Ring, error) {
			if broken.Load() {
				return nil, errStore
			}
			return ring()
		}
	})
	broken.Store(true)
	r.refuses(r.do(http.MethodGet, "/", nil, writes("Session-Patch", `{"a":1}`)), http.StatusServiceUnavailable, sessionproxy.TypeUnavailable)
	if n := r.store.Len(); n != 0 {
		t.Fatalf("%d sessions are stored", n)
	}
	if got := r.do(http.MethodGet, "/", nil, writes()); got.status != http.StatusOK {
		t.Fatalf("a visitor who writes nothing gets %d", got.status)
	}
}

// 499 is what proxies write when the client has gone: that is no response of
// the app.
func TestAClientThatHasGoneCommitsNothing(t *testing.T) {
	r := newRig(t, func(c *sessionproxy.Config, _ *session.Policy) { c.CommitAny = true })
	in := r.begin(`{"n":1}`)
	ctx, cancel := context.WithCancel(t.Context())
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	req.Header = in.Clone()
	if err := r.handler.Serve(httptest.NewRecorder(), req, func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Session-Patch", `{"n":2}`)
		cancel()
		w.WriteHeader(499)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := r.data(in); got != `{"n":1}` {
		t.Fatalf("data is %s", got)
	}
}

// A late tab that only reads must neither bring back the ticket that a login
// replaced, nor that of a session that was ended.
func TestALateTabRenewsNoTicket(t *testing.T) {
	for name, write := range map[string][]string{
		"a login":  {"Session-Principal", `"alice"`},
		"a logout": {"Session-Action", "destroy"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c *sessionproxy.Config, _ *session.Policy) { c.Carriers[0].(*ticket.Cookie).Persist = true })
			in := r.begin(`{}`)
			r.now = r.now.Add(10 * time.Minute)
			if got := r.do(http.MethodGet, "/", in, writes()); got.cookie == nil {
				t.Fatal("the ticket is not renewed: the test does not test")
			}
			r.now = r.now.Add(10 * time.Minute)
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			req.Header = in.Clone()
			late := httptest.NewRecorder()
			if err := r.handler.Serve(late, req, func(http.ResponseWriter, *http.Request) error {
				r.do(http.MethodGet, "/", in, writes(write...))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if lines := late.Result().Header.Values("Set-Cookie"); len(lines) > 0 {
				t.Fatalf("the late tab sets %q", lines)
			}
		})
	}
}

// One response must not keep the store's writer busy.
func TestTooManyValuesAreRefused(t *testing.T) {
	r := newRig(t, nil)
	in := r.begin(`{"n":1}`)
	many := strings.Repeat(`{"n":2},`, 257)
	r.refuses(r.do(http.MethodGet, "/", in, writes("Session-Patch", many)), http.StatusBadGateway, sessionproxy.TypeBadWrite)
	if got := r.data(in); got != `{"n":1}` {
		t.Fatalf("data is %s", got)
	}
}

// A replaced response is not waited for.
func TestAReplacedResponseThatGoesOnIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.server.Close()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		begin := time.Now()
		err := r.handler.Serve(httptest.NewRecorder(), req, func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Session-Patch", `{`)
			for {
				if _, err := w.Write([]byte("x")); err != nil {
					panic(http.ErrAbortHandler) // as a proxy does
				}
				<-time.After(100 * time.Millisecond)
			}
		})
		var p *sessionproxy.Problem
		if !errors.As(err, &p) || p.Type != sessionproxy.TypeBadWrite {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Fatalf("it took %v", took)
		}
	})
}
