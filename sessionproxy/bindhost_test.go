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
