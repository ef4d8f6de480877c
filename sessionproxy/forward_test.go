package sessionproxy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

func TestEndpointOfAReadOnlyRequest(t *testing.T) {
	e := newEndpointRig(t, nil)
	in := e.begin(`{"a":1}`)
	e.do("GET", "/readonly", in, func(_ http.ResponseWriter, r *http.Request) {
		ep := endpointOf(r)
		if got := e.call("GET", ep+"/data", ""); got.body != `{"a":1}` {
			t.Errorf("%s", got.body)
		}
		for _, got := range []answer{
			e.call("PUT", ep+"/data/a", `2`), e.call("DELETE", ep, ""), e.call("POST", ep+"/add", `{"a":1}`), e.call("POST", ep+"/regenerate", ""),
		} {
			if got.status != 403 || problemOf(got) != sessionproxy.TypeReadOnly {
				t.Errorf("%d %s", got.status, got.body)
			}
		}
		if got := e.call("POST", ep+"/touch", ""); got.status != 204 {
			t.Errorf("touch: %d", got.status)
		}
	})
}

func TestForward(t *testing.T) {
	for _, tc := range []struct {
		forward          sessionproxy.Forward
		data, meta, read bool
	}{
		{sessionproxy.ForwardData, true, true, true},
		{sessionproxy.ForwardEndpoint, false, true, true},
		{sessionproxy.ForwardID, false, false, true},
	} {
		e := newEndpointRig(t, func(c *sessionproxy.Config, _ *session.Policy) { c.Forward = tc.forward })
		in := e.begin(`{"a":1}`)
		e.do("GET", "/", in, func(_ http.ResponseWriter, r *http.Request) {
			_, data := r.Header["Session-Data"]
			_, meta := r.Header["Session-Meta"]
			if data != tc.data || meta != tc.meta || r.Header.Get("Session-Id") == "" || r.Header.Get("Session-State") != "active" {
				t.Errorf("forward %d: %v", tc.forward, r.Header)
			}
			if tc.forward == sessionproxy.ForwardID {
				if endpointOf(r) != "" {
					t.Error("forward id sends an endpoint")
				}
				return
			}
			if got := e.call("GET", endpointOf(r)+"/data", ""); got.body != `{"a":1}` {
				t.Errorf("forward %d: %s", tc.forward, got.body)
			}
		})
	}
}

// TestLargeDataIsReadAtTheEndpoint: beyond inline_limit there is no header.
func TestLargeDataIsReadAtTheEndpoint(t *testing.T) {
	e := newEndpointRig(t, nil)
	large := `{"x":"` + strings.Repeat("x", 5000) + `"}`
	in := e.begin(large)
	e.do("GET", "/", in, func(_ http.ResponseWriter, r *http.Request) {
		if _, ok := r.Header["Session-Data"]; ok {
			t.Error("it is in a header")
		}
		if got := e.call("GET", endpointOf(r)+"/data", ""); got.body != large {
			t.Errorf("%d bytes", len(got.body))
		}
	})
}
