package sessionproxy_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// With BindHost a ticket opens its session at the host that it was issued
// for, in whatever case and at whatever port, and at no other.
func TestBindHost(t *testing.T) {
	for _, bound := range []bool{true, false} {
		r := newRig(t, func(c *sessionproxy.Config, _ *session.Policy) { c.BindHost = bound })
		at := func(host, cookie string) (state, ticket string) {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			req.Host = host
			if cookie != "" {
				req.Header.Set("Cookie", cookie)
			}
			rec := httptest.NewRecorder()
			err := r.handler.Serve(rec, req, func(w http.ResponseWriter, req *http.Request) error {
				state = req.Header.Get("Session-State")
				req.Host = "changed.example" // as a handler may
				w.Header().Set("Session-Patch", `{"n":1}`)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range rec.Result().Cookies() {
				ticket = c.Name + "=" + c.Value
			}
			return state, ticket
		}
		_, cookie := at("a.example:8080", "")
		_, six := at("[2001:db8::1]:8080", "")
		for host, state := range map[string]string{"[2001:db8::1]": "active", "[2001:DB8::1]:9090": "active"} {
			if got, _ := at(host, six); got != state {
				t.Errorf("bound %v: at %s the session is %s, want %s", bound, host, got, state)
			}
		}
		want := map[string]string{"a.example": "active", "A.Example.:9090": "active", "b.example": "active", "a.example.b.example": "active"}
		if bound {
			want["b.example"], want["a.example.b.example"] = "new", "new"
		}
		for host, state := range want {
			if got, _ := at(host, cookie); got != state {
				t.Errorf("bound %v: at %s the session is %s, want %s", bound, host, got, state)
			}
		}
	}
}

// Each ticket that replaces another is bound to the host of its request:
// after a sign-in, for a late tab, and when the timer replaces it.
func TestBindHostWhenATicketIsReplaced(t *testing.T) {
	r := newRig(t, func(c *sessionproxy.Config, p *session.Policy) {
		c.BindHost = true
		rotating(c, p)
	})
	ask := func(host string, in http.Header, write ...string) (state string, next http.Header) {
		t.Helper()
		r.run(func(w http.ResponseWriter, req *http.Request) error {
			state = req.Header.Get("Session-State")
			writes(write...)(w, req)
			return nil
		})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host, req.Header = host, in.Clone()
		got := r.send(req)
		if got.status != http.StatusOK {
			t.Fatalf("at %s: %d %s", host, got.status, got.body)
		}
		if got.cookie != nil {
			next = ticketIn(got.cookie)
		}
		return state, next
	}
	expect := func(what string, in http.Header, home string) {
		t.Helper()
		if got, _ := ask("a.example", in); got != home {
			t.Errorf("%s: at home it is %s, want %s", what, got, home)
		}
		if got, _ := ask("b.example", in); got != "new" {
			t.Errorf("%s: elsewhere it is %s", what, got)
		}
	}
	_, first := ask("a.example", nil, "Session-Data", `{"n":1}`)
	_, signed := ask("a.example", first, "Session-Principal", `"alice"`)
	expect("a late tab", first, "expired")
	expect("signed in", signed, "active")
	r.now = r.now.Add(rotateEvery)
	if got, next := ask("b.example", signed); got != "new" || next != nil {
		t.Errorf("elsewhere the timer replaces a ticket: %s, %v", got, next)
	}
	_, rotated := ask("a.example", signed)
	if rotated == nil {
		t.Fatal("the timer replaces nothing")
	}
	expect("after the timer", rotated, "active")
}
