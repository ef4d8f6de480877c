package sessionproxy_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
)

// TestForeignCallers: a caller that is not the app of the request gets nothing.
func TestForeignCallers(t *testing.T) {
	e := newEndpointRig(t, nil)
	in := e.begin(`{"a":"secret"}`)
	var ended string
	e.do("GET", "/", in, func(_ http.ResponseWriter, r *http.Request) {
		ep := endpointOf(r)
		ended = ep
		base, capability := ep[:strings.LastIndexByte(ep, '/')+1], ep[strings.LastIndexByte(ep, '/')+1:]
		flipped := []byte(capability)
		if flipped[20]++; flipped[20] > 'y' {
			flipped[20] = 'a'
		}
		for _, tc := range []struct {
			name, url string
			header    []string
			status    int
		}{
			{"a page of another site", ep + "/data", []string{"Origin", "https://evil.example"}, 403},
			{"a page without origin", ep + "/data", []string{"Origin", "null"}, 403},
			{"a browser", ep + "/data", []string{"Sec-Fetch-Site", "none"}, 403},
			{"by another name", ep + "/data", []string{"Host", "evil.example"}, 403},
			{"by another port", ep + "/data", []string{"Host", "127.0.0.1:1"}, 403},
			{"nothing", base, nil, 404},
			{"a guess", base + strings.Repeat("A", 22) + "/data", nil, 404},
			{"another block", base + string(flipped) + "/data", nil, 404},
			{"cut off", base + capability[:21] + "/data", nil, 404},
			{"with more", base + capability + "A/data", nil, 404},
			{"padded", base + capability + "=/data", nil, 404},
		} {
			got := e.call("GET", tc.url, "", tc.header...)
			if got.status != tc.status || strings.Contains(got.body, "secret") {
				t.Errorf("%s: %d %s", tc.name, got.status, got.body)
			}
			if got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: CORS", tc.name)
			}
		}
	})
	if got := e.call("GET", ended+"/data", ""); got.status != 410 || problemOf(got) != sessionproxy.TypeGone {
		t.Errorf("after the request: %d %s", got.status, got.body)
	}
	if n := e.endpoint.Len(); n != 0 {
		t.Errorf("%d capabilities are left", n)
	}
	for kind, want := range map[string]float64{"foreign": 5, "unknown": 6, "ended": 1} {
		if got := e.counter("refused_calls_total", "kind", kind); got != want {
			t.Errorf("%v calls are counted as %s, want %v", got, kind, want)
		}
	}
	other := sessionproxy.NewEndpoint(sessionproxy.EndpointConfig{URL: e.calls.URL, Metrics: sessionproxy.NewMetrics()})
	e.endpoint = other
	if got := e.call("GET", ended+"/data", ""); got.status != 404 {
		t.Errorf("a capability of another process: %d", got.status)
	}
}

// TestCapabilitiesAreOfOneRequest: two requests of two sessions, at once.
func TestCapabilitiesAreOfOneRequest(t *testing.T) {
	e := newEndpointRig(t, nil)
	mine, other := e.begin(`{"who":"me"}`), e.begin(`{"who":"other"}`)
	e.do("GET", "/", mine, func(_ http.ResponseWriter, r *http.Request) {
		ep := endpointOf(r)
		req := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		req.Header = other.Clone()
		if err := e.handler.Serve(httptest.NewRecorder(), req, func(_ http.ResponseWriter, r *http.Request) error {
			if endpointOf(r) == ep {
				t.Error("one URL for two requests")
			}
			if got := e.call("GET", endpointOf(r)+"/data/who", ""); got.body != `"other"` {
				t.Errorf("the inner request: %s", got.body)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if got := e.call("GET", ep+"/data/who", ""); got.body != `"me"` {
			t.Errorf("the outer request: %s", got.body)
		}
	})
}
