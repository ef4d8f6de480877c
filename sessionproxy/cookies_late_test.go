package sessionproxy_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// TestJarOfASignOutAfterAnEarlyCommit: a form signs out, though the app has
// committed early, and a script's save has replaced the ticket since.
func TestJarOfASignOutAfterAnEarlyCommit(t *testing.T) {
	for _, early := range []bool{false, true} {
		rules, err := jar.NewRules(jar.Options{})
		if err != nil {
			t.Fatal(err)
		}
		e := newEndpointRig(t, func(c *sessionproxy.Config, p *session.Policy) {
			c.Cookies, p.CookieJar = &sessionproxy.Cookies{Rules: rules}, true
		})
		v := &visitor{jarRig: &jarRig{rig: e.rig}}
		v.asks("GET", "/", page, "sid=alice; HttpOnly")
		in := http.Header{"Cookie": {v.ticket}}
		v.asksApp("POST", "/signout", page, func(w http.ResponseWriter, r *http.Request) {
			ep := r.Header.Get("Session-Endpoint")
			if early {
				if a := e.call("POST", ep+"/commit", ""); a.status != http.StatusNoContent && a.status != http.StatusOK {
					t.Fatalf("committing early: %d %s", a.status, a.body)
				}
			}
			save := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/save", nil)
			save.Header = in.Clone()
			save.Header.Set("Sec-Fetch-Mode", "cors")
			if err := e.handler.Serve(discardWriter{make(http.Header)}, save, func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("Set-Cookie", "sid=alice2; HttpOnly")
				w.WriteHeader(http.StatusOK)
				return nil
			}); err != nil {
				t.Error(err)
			}
			w.Header().Set("Set-Cookie", "sid=; Max-Age=0")
		})
		if n := e.sessions(); n != 0 || v.ticket != "" {
			t.Errorf("early commit %v: after the sign-out there are %d sessions, the ticket is %q", early, n, v.ticket)
		}
	}
}
