package sessionproxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

// TestCapabilitiesOfTwoManagers: whatever calls, from whichever request's
// handler, a capability opens its own request's session of its own manager,
// and dies with that request.
func TestCapabilitiesOfTwoManagers(t *testing.T) {
	e := newEndpointRig(t, nil)
	in := e.begin(`{"who":"shop"}`)
	config := e.handler.Config
	var err error
	config.Manager, err = session.NewManager("cart", session.DefaultPolicy(), session.Options{
		Provider: session.Fixed(e.store), NewCredential: sessionproxy.CredentialSource("cart"), Now: func() time.Time { return e.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	config.Carriers = []ticket.Carrier{&ticket.Cookie{Name: "other_ticket", Path: "/"}}
	cart, err := sessionproxy.NewHandler(config)
	if err != nil {
		t.Fatal(err)
	}
	serveCart := func(header http.Header, app func(w http.ResponseWriter, ep string)) *httptest.ResponseRecorder {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		req.Header = header.Clone()
		w := httptest.NewRecorder()
		if err := cart.Serve(w, req, func(w http.ResponseWriter, r *http.Request) error { app(w, endpointOf(r)); return nil }); err != nil {
			t.Error(err)
		}
		return w
	}
	begun := serveCart(http.Header{}, func(w http.ResponseWriter, _ string) { w.Header().Set("Session-Data", `{"who":"cart"}`) })
	cookie := begun.Result().Cookies()[0]
	both := http.Header{"Cookie": {in.Get("Cookie") + "; " + cookie.Name + "=" + cookie.Value}}

	var ended string
	e.do("GET", "/", both, func(_ http.ResponseWriter, r *http.Request) {
		outer := endpointOf(r)
		serveCart(both, func(_ http.ResponseWriter, inner string) {
			ended = inner
			for ep, want := range map[string]string{outer: "shop", inner: "cart"} {
				if got := e.call("GET", ep+"/data/who", ""); got.body != `"`+want+`"` {
					t.Errorf("data of %s: %s", want, got.body)
				}
				if got := e.call("GET", ep, ""); !strings.Contains(got.body, `"manager":"`+want+`"`) {
					t.Errorf("metadata of %s: %s", want, got.body)
				}
				if got := e.call("PUT", ep+"/data/seen", `"`+want+`"`); got.status != 200 {
					t.Errorf("writing to %s: %d %s", want, got.status, got.body)
				}
			}
		})
		if got := e.call("PUT", ended+"/data/late", `1`); got.status != 410 || problemOf(got) != sessionproxy.TypeGone {
			t.Errorf("the inner request's, from the outer one: %d %s", got.status, got.body)
		}
		if got := e.call("GET", outer+"/data/seen", ""); got.body != `"shop"` {
			t.Errorf("the outer request sees %s", got.body)
		}
	})
	if got := e.data(both); got != `{"who":"shop","seen":"shop"}` {
		t.Errorf("data of shop: %s", got)
	}
	serveCart(both, func(_ http.ResponseWriter, ep string) {
		if got := e.call("GET", ep+"/data", ""); got.body != `{"who":"cart","seen":"cart"}` {
			t.Errorf("data of cart: %s", got.body)
		}
	})
}

// TestEndpointOfASessionThatEnds: its capability is good, but there is nothing
// left that it could write to.
func TestEndpointOfASessionThatEnds(t *testing.T) {
	for name, end := range map[string]func(e *endpointRig, in http.Header){
		"by its timeout": func(e *endpointRig, _ http.Header) { e.now = e.now.Add(time.Hour) },
		"by a logout": func(e *endpointRig, in http.Header) {
			req := httptest.NewRequestWithContext(e.t.Context(), http.MethodGet, "/", nil)
			req.Header = in.Clone()
			err := e.handler.Serve(httptest.NewRecorder(), req, func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("Session-Action", "destroy")
				return nil
			})
			if err != nil {
				e.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEndpointRig(t, nil)
			in := e.begin(`{"a":1}`)
			e.do("GET", "/", in, func(w http.ResponseWriter, r *http.Request) {
				ep := endpointOf(r)
				end(e, in)
				if got := e.call("POST", ep+"/refresh", ""); got.status != 410 {
					t.Errorf("refreshing: %d %s", got.status, got.body)
				}
				e.call("PUT", ep+"/data/a", "2")
				if got := e.call("POST", ep+"/commit", ""); got.status != 410 || problemOf(got) != sessionproxy.TypeGone {
					t.Errorf("committing: %d %s", got.status, got.body)
				}
				_ = http.NewResponseController(w).Flush()
				if got := e.call("PUT", ep+"/data/a", "3"); got.status != 410 {
					t.Errorf("in a stream: %d %s", got.status, got.body)
				}
			})
			if got := e.seen(in); got.Get("Session-State") != "expired" || got.Get("Session-Data") != "{}" {
				t.Errorf("afterwards: %v", got)
			}
		})
	}
}

// TestBodiesThatLieAboutTheirLength sends bytes as no client library would.
func TestBodiesThatLieAboutTheirLength(t *testing.T) {
	for _, tc := range []struct {
		name, framing, body string
		statuses            []int
		after               string
	}{
		{"shorter than it says", "Content-Length: 100\r\n", "2", []int{400}, `{"a":1}`},
		{"longer than it says", "Content-Length: 1\r\n", "2345\r\n\r\n", []int{200, 400}, `{"a":2}`},
		{"no length at all", "", "2", []int{400}, `{"a":1}`},
		{"a length below zero", "Content-Length: -1\r\n", "2", []int{400}, `{"a":1}`},
		{"two lengths", "Content-Length: 1\r\nContent-Length: 2\r\n", "23", []int{400}, `{"a":1}`},
		{"a chunk that is cut off", "Transfer-Encoding: chunked\r\n", "64\r\n2", []int{400}, `{"a":1}`},
		{"a chunk of no length", "Transfer-Encoding: chunked\r\n", "x\r\n2\r\n0\r\n\r\n", []int{400}, `{"a":1}`},
		{"chunks without an end", "Transfer-Encoding: chunked\r\n", "1\r\n2\r\n", []int{400}, `{"a":1}`},
		{"a length that chunks contradict", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "2\r\n23\r\n0\r\n\r\n", []int{200}, `{"a":23}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := newEndpointRig(t, nil)
			in := e.begin(`{"a":1}`)
			e.do("GET", "/", in, func(_ http.ResponseWriter, r *http.Request) {
				host, path, _ := strings.Cut(strings.TrimPrefix(endpointOf(r), "http://"), "/")
				conn, err := net.Dial("tcp", host)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_, _ = fmt.Fprintf(conn, "PUT /%s/data/a HTTP/1.1\r\nHost: %s\r\n%s\r\n%s", path, host, tc.framing, tc.body)
				_ = conn.(*net.TCPConn).CloseWrite()
				answers := bufio.NewReader(conn)
				for _, want := range tc.statuses {
					resp, err := http.ReadResponse(answers, nil)
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					if resp.StatusCode != want {
						t.Errorf("status %d, want %d", resp.StatusCode, want)
					}
				}
			})
			if got := e.data(in); got != tc.after {
				t.Errorf("data is %s, want %s", got, tc.after)
			}
		})
	}
}

// A body that never ends keeps neither its request nor the session from
// any client: the server gives up on it, and nothing is written.
func TestABodyThatNeverEnds(t *testing.T) {
	inTurn(t, time.Minute, 8, func(t *testing.T, c *turnRig) {
		ep, end, stream := c.stream()
		conn, err := c.client.Transport.(*http.Transport).DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan time.Time, 1)
		go func() {
			_, _ = fmt.Fprintf(conn, "PUT %s/data/a HTTP/1.1\r\nHost: sessions\r\nContent-Length: 100\r\n\r\n\"x", strings.TrimPrefix(ep, "http://sessions"))
			_, _ = io.Copy(io.Discard, conn) // until the server gives up
			got <- time.Now()
		}()
		c.waiting(0)
		if other := c.ask(t.Context(), "PUT", ep+"/data/b", "1"); other.status != 200 {
			t.Errorf("beside it: %d %s", other.status, other.body)
		}
		release, holder := c.hold("/other", "5")
		release()
		if got := <-holder; got != 200 {
			t.Errorf("another request: %d", got)
		}
		begin := time.Now()
		end()
		<-stream
		if took := time.Since(begin); took != 0 {
			t.Errorf("the request's end took %v", took)
		}
		if took := (<-got).Sub(begin); took > time.Minute {
			t.Errorf("the server gave up after %v", took)
		}
		_ = conn.Close()
		c.data(`{"n":5,"b":1}`)
	})
}
