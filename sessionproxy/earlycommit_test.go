package sessionproxy_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// TestASignInAfterAnEarlyCommit has another request's sign-in replace the
// ticket after an early commit: a sign-in is answered with a session of its
// own, as without the early commit, and any other write is refused.
func TestASignInAfterAnEarlyCommit(t *testing.T) {
	for _, policy := range []session.Locking{session.Lossy, session.Optimistic, session.Serialized} {
		for name, tc := range map[string]struct {
			endpoint [2]string // method and path of a call, with its body in body
			body     string
			commit   bool // by the endpoint, too
			header   []string
			signedIn bool
		}{
			"a sign-in by header":               {header: []string{"Session-Principal", `"bob"`}, signedIn: true},
			"a sign-in at the endpoint":         {endpoint: [2]string{"PUT", "/principal"}, body: `"bob"`, signedIn: true},
			"a sign-in that is committed early": {endpoint: [2]string{"PUT", "/principal"}, body: `"bob"`, commit: true, signedIn: true},
			"one at the endpoint, data by header": {
				endpoint: [2]string{"PUT", "/principal"}, body: `"bob"`, header: []string{"Session-Patch", `{"in":true}`}, signedIn: true,
			},
			"another write by header":       {header: []string{"Session-Patch", `{"in":true}`}},
			"another write at the endpoint": {endpoint: [2]string{"PUT", "/data/in"}, body: `true`},
		} {
			t.Run(name, func(t *testing.T) {
				e := newEndpointRig(t, func(_ *sessionproxy.Config, p *session.Policy) { p.Locking = policy })
				in := e.begin(`{"a":1}`)
				var other reply
				got := e.do("GET", "/", in, func(w http.ResponseWriter, r *http.Request) {
					ep := r.Header.Get("Session-Endpoint")
					e.call("PUT", ep+"/data/early", `1`)
					if got := e.call("POST", ep+"/commit", ""); got.status != http.StatusNoContent {
						t.Errorf("the early commit: %d %s", got.status, got.body)
					}
					other = e.do("GET", "/", in, writes("Session-Principal", `"alice"`))
					if tc.endpoint[0] != "" {
						got := e.call(tc.endpoint[0], ep+tc.endpoint[1], tc.body)
						if want := map[bool]int{true: http.StatusNoContent, false: http.StatusConflict}[tc.signedIn]; got.status != want {
							t.Errorf("the call: %d %s, want %d", got.status, got.body, want)
						}
					}
					if tc.commit {
						if got := e.call("POST", ep+"/commit", ""); got.status != http.StatusNoContent {
							t.Errorf("the second early commit: %d %s", got.status, got.body)
						}
					}
					writes(tc.header...)(w, r)
				})
				if other.cookie == nil {
					t.Fatal("the other request is not signed in")
				}
				if !tc.signedIn {
					if got.cookie != nil || tc.header != nil && got.status != http.StatusConflict {
						t.Errorf("a late write: %d, cookie %v", got.status, got.cookie != nil)
					}
				} else if got.status != http.StatusOK || got.cookie == nil || got.cookie.Value == other.cookie.Value {
					t.Fatalf("the sign-in: %d, cookie %v", got.status, got.cookie != nil)
				} else if meta := e.seen(cookieHeader(got)).Get("Session-Meta"); !strings.Contains(meta, `"bob"`) {
					t.Errorf("the second session is %s", meta)
				}
				if seen := e.seen(cookieHeader(other)); !strings.Contains(seen.Get("Session-Meta"), `"alice"`) || seen.Get("Session-Data") != `{"a":1,"early":1}` {
					t.Errorf("the first session is %s %s", seen.Get("Session-Meta"), seen.Get("Session-Data"))
				}
			})
		}
	}
}

// TestALostAnswerAfterAnEarlyCommit signs in by an early commit whose response
// the browser never gets: it signs in again with the ticket from before.
func TestALostAnswerAfterAnEarlyCommit(t *testing.T) {
	e := newEndpointRig(t, nil)
	in := e.begin(`{"a":1}`)
	signIn := func(_ http.ResponseWriter, r *http.Request) {
		ep := r.Header.Get("Session-Endpoint")
		for _, got := range []answer{e.call("PUT", ep+"/principal", `"alice"`), e.call("POST", ep+"/commit", "")} {
			if got.status != http.StatusNoContent {
				t.Errorf("%d %s", got.status, got.body)
			}
		}
	}
	e.do("GET", "/", in, signIn)
	got := e.do("GET", "/", in, signIn)
	if got.status != http.StatusOK || got.cookie == nil {
		t.Fatalf("the second sign-in: %d, cookie %v", got.status, got.cookie != nil)
	}
	if meta := e.seen(cookieHeader(got)).Get("Session-Meta"); !strings.Contains(meta, `"alice"`) {
		t.Errorf("the second session is %s", meta)
	}
}

// cookieHeader returns the header that a browser sends after the reply.
func cookieHeader(got reply) http.Header {
	return http.Header{"Cookie": {cookieName + "=" + got.cookie.Value}}
}

// TestAnEarlyCommitBeginsASession: its cookie goes out whatever the status.
func TestAnEarlyCommitBeginsASession(t *testing.T) {
	for name, end := range map[string]func(w http.ResponseWriter) int{
		"200": func(http.ResponseWriter) int { return 200 },
		"500": func(w http.ResponseWriter) int { w.WriteHeader(http.StatusInternalServerError); return 500 },
		"a bad write": func(w http.ResponseWriter) int {
			w.Header().Set("Session-Patch", "{")
			return 502
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEndpointRig(t, nil)
			want := 0
			got := e.do("GET", "/", nil, func(w http.ResponseWriter, r *http.Request) {
				e.call("PUT", endpointOf(r)+"/data/a", `1`)
				e.call("POST", endpointOf(r)+"/commit", "")
				want = end(w)
			})
			if got.status != want || got.cookie == nil {
				t.Fatalf("%d, cookie %v", got.status, got.cookie)
			}
			in := http.Header{"Cookie": {cookieName + "=" + got.cookie.Value}}
			if data := e.data(in); data != `{"a":1}` {
				t.Fatalf("data is %s", data)
			}
		})
	}
	t.Run("after the headers none can begin", func(t *testing.T) {
		e := newEndpointRig(t, nil)
		e.do("GET", "/", nil, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			if got := e.call("PUT", endpointOf(r)+"/data/a", `1`); got.status != 409 {
				t.Errorf("%d %s", got.status, got.body)
			}
			if got := e.call("GET", endpointOf(r)+"/data", ""); got.body != `{}` {
				t.Errorf("reading: %d %s", got.status, got.body)
			}
		})
		if n := e.store.Len(); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}

// TestEarlyCommitReleasesTheLock: under serialized the next one has its turn.
func TestEarlyCommitReleasesTheLock(t *testing.T) {
	e := newEndpointRig(t, func(_ *sessionproxy.Config, p *session.Policy) { p.Locking, p.Wait = session.Serialized, 0 })
	in := e.begin(`{"n":1}`)
	e.do("GET", "/", in, func(_ http.ResponseWriter, r *http.Request) {
		second := func() int {
			req := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
			req.Header = in.Clone()
			w := httptest.NewRecorder()
			err := e.handler.Serve(w, req, func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("Session-Add", `{"n":10}`)
				_, err := io.WriteString(w, "ok")
				return err
			})
			var p *sessionproxy.Problem
			if errors.As(err, &p) {
				return p.Status
			}
			return w.Code
		}
		if got := second(); got != 503 {
			t.Errorf("while the lock is held: %d", got)
		}
		e.call("PUT", endpointOf(r)+"/data/a", `1`)
		e.call("POST", endpointOf(r)+"/commit", "")
		if got := second(); got != 200 {
			t.Errorf("after the early commit: %d", got)
		}
	})
	if got := e.data(in); got != `{"n":11,"a":1}` {
		t.Fatalf("data is %s", got)
	}
}

// TestAnEarlyCommitOfAnAppThatDies: what it began still needs its cookie.
func TestAnEarlyCommitOfAnAppThatDies(t *testing.T) {
	e := newEndpointRig(t, nil)
	e.run(func(_ http.ResponseWriter, r *http.Request) error {
		e.call("PUT", endpointOf(r)+"/data/a", `1`)
		e.call("POST", endpointOf(r)+"/commit", "")
		return errors.New("no upstream")
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := e.send(req)
	if got.status != http.StatusBadGateway || got.cookie == nil {
		t.Fatalf("%d, cookie %v", got.status, got.cookie)
	}
	if data := e.data(http.Header{"Cookie": {cookieName + "=" + got.cookie.Value}}); data != `{"a":1}` {
		t.Fatalf("data is %s", data)
	}
}
