package sessionproxy_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// TestACopyOfARequestIsNoFurtherTry has a handler below the session send a
// request to its app, and a copy of it to another server while the app works:
// what the app has staged stays.
func TestACopyOfARequestIsNoFurtherTry(t *testing.T) {
	for name, start := range upstreamServers {
		t.Run(name, func(t *testing.T) {
			e := newEndpointRig(t, nil)
			in := e.begin(`{"n":0}`)
			staged, copied, answered := make(chan struct{}), make(chan struct{}), make(chan struct{})
			app := start(t, func(_ http.ResponseWriter, r *http.Request) {
				e.call("POST", endpointOf(r)+"/add", `{"n":1}`)
				close(staged)
				<-copied
			})
			mirror := start(t, func(http.ResponseWriter, *http.Request) {
				close(copied)
				<-answered
			})
			got := e.do("GET", "/", in, func(w http.ResponseWriter, r *http.Request) {
				done := make(chan struct{})
				go func() {
					defer close(done)
					<-staged
					forward(t, mirror, r)
				}()
				forward(t, app, r)
				close(answered)
				<-done
			})
			if data := e.data(in); got.status != http.StatusOK || data != `{"n":1}` {
				t.Errorf("%d, data is %s", got.status, data)
			}
		})
	}
}

// TestATryThatFailsStagesNothing has the handler try again when the app cuts
// the connection: what the first try has staged is dropped.
func TestATryThatFailsStagesNothing(t *testing.T) {
	for name, start := range upstreamServers {
		t.Run(name, func(t *testing.T) {
			e := newEndpointRig(t, nil)
			in := e.begin(`{"n":0}`)
			var tries atomic.Int32
			app := start(t, func(_ http.ResponseWriter, r *http.Request) {
				e.call("POST", endpointOf(r)+"/add", `{"n":1}`)
				if tries.Add(1) == 1 {
					panic(http.ErrAbortHandler) // cuts the connection
				}
			})
			e.do("POST", "/", in, func(_ http.ResponseWriter, r *http.Request) {
				for !forward(t, app, r) && tries.Load() < 2 {
					continue
				}
			})
			if data := e.data(in); data != `{"n":1}` || tries.Load() != 2 {
				t.Errorf("after %d tries data is %s", tries.Load(), data)
			}
		})
	}
}

// upstreamServers start an app's server, each with connections of another kind.
var upstreamServers = map[string]func(*testing.T, http.HandlerFunc) *httptest.Server{
	"clear": func(t *testing.T, h http.HandlerFunc) *httptest.Server {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s
	},
	"TLS": func(t *testing.T, h http.HandlerFunc) *httptest.Server {
		s := httptest.NewTLSServer(h)
		t.Cleanup(s.Close)
		return s
	},
}

// forward sends a request on, as a proxy does, and reports whether it was answered.
func forward(t *testing.T, to *httptest.Server, r *http.Request) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(r.Context(), r.Method, to.URL, nil)
	if err != nil {
		t.Error(err)
		return false
	}
	req.Header = r.Header.Clone()
	resp, err := to.Client().Transport.RoundTrip(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil
}
