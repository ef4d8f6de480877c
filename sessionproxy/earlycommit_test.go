package sessionproxy_test

import (
	"net/http"
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
