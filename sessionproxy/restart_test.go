package sessionproxy_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

func restarting(times int, merge bool) func(*sessionproxy.Config, *session.Policy) {
	return func(c *sessionproxy.Config, p *session.Policy) {
		p.Locking, p.Merge = session.Optimistic, merge
		c.Restart = sessionproxy.Restart{
			Times: times, BodyLimit: 16,
			Replayable: func(r *http.Request) bool { return r.URL.Path == "/replayable" },
		}
	}
}

// meddle commits to the session from another request.
func (r *rig) meddle(in http.Header, patch string) {
	r.t.Helper()
	req := httptest.NewRequestWithContext(r.t.Context(), http.MethodGet, "/meddle", nil)
	req.Header = in.Clone()
	if err := r.handler.Serve(httptest.NewRecorder(), req, func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Session-Patch", patch)
		return nil
	}); err != nil {
		r.t.Error(err)
	}
}

// TestRestart has another request commit the same key during the first
// attempts, and looks at how often the app was asked, and what came of it.
func TestRestart(t *testing.T) {
	for _, tc := range []struct {
		name, method, path, body string
		times, meddles           int
		app                      func(w http.ResponseWriter) // besides writing
		ifVersion                bool
		attempts, status         int
	}{
		{"no conflict", "GET", "/", "", 2, 0, nil, false, 1, 200},
		{"one conflict", "GET", "/", "", 2, 1, nil, false, 2, 200},
		{"conflicts until the last attempt", "GET", "/", "", 2, 2, nil, false, 3, 200},
		{"more conflicts than attempts", "GET", "/", "", 1, 2, nil, false, 2, 409},
		{"no restart configured", "GET", "/", "", 0, 1, nil, false, 1, 409},
		{"an unsafe method", "POST", "/", "x", 2, 1, nil, false, 1, 409},
		{"a replayable one", "POST", "/replayable", "body", 2, 1, nil, false, 2, 200},
		{"a body that is too large", "POST", "/replayable", strings.Repeat("x", 17), 2, 1, nil, false, 1, 409},
		{"something is with the client", "GET", "/", "", 2, 1, func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) }, false, 1, 409},
		{"a hint to send the body", "POST", "/replayable", "body", 2, 1, func(w http.ResponseWriter) { w.WriteHeader(http.StatusContinue) }, false, 2, 200},
		{"a condition", "GET", "/", "", 2, 1, nil, true, 1, 409},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, restarting(tc.times, false))
			in := r.begin(`{"n":0}`)
			var attempts atomic.Int32
			got := r.doBody(tc.method, tc.path, tc.body, in, func(w http.ResponseWriter, req *http.Request) {
				n := int(attempts.Add(1))
				if body, err := io.ReadAll(req.Body); err != nil || string(body) != tc.body {
					t.Errorf("attempt %d: body %q, %v", n, body, err)
				}
				req.URL.Path = "/changed by a handler"
				req.Header.Set("X-Changed", "1")
				if n > 1 && req.Header.Get("X-Changed") != "1" || strings.Contains(req.Header.Get("Session-Meta"), `"attempt":1}`) != (n == 1) {
					t.Errorf("attempt %d: %v", n, req.Header)
				}
				w.Header().Set("X-Attempt", "left over")
				if n > 1 {
					w.Header().Del("X-Attempt")
				}
				if tc.app != nil {
					tc.app(w)
				}
				if n <= tc.meddles && (n <= tc.times || tc.times == 0 || tc.meddles > tc.times) {
					r.meddle(in, `{"n":`+string(rune('0'+n))+`}`)
				}
				if tc.ifVersion {
					w.Header().Set("Session-If-Version", `"1-0000000000000000"`)
				}
				w.Header().Set("Session-Patch", `{"n":99}`)
				_, _ = io.WriteString(w, "attempt")
			})
			if got.status != tc.status || int(attempts.Load()) != tc.attempts {
				t.Fatalf("status %d after %d attempts, want %d after %d", got.status, attempts.Load(), tc.status, tc.attempts)
			}
			want := `{"n":99}`
			if tc.status == 409 {
				r.refuses(got, 409, sessionproxy.TypeConflict)
				want = ""
			} else if tc.attempts > 1 && got.header.Get("X-Attempt") != "" {
				t.Error("a header of the failed attempt came through")
			} else if got.body != "attempt" {
				t.Errorf("body %q: that of a failed attempt came through", got.body)
			}
			if data := r.data(in); want != "" && data != want || want == "" && data == `{"n":99}` {
				t.Errorf("data is %s", data)
			}
			if n := r.counter("restarts_total"); int(n) != tc.attempts-1 {
				t.Errorf("%v restarts are counted", n)
			}
		})
	}
}

// A response that is dropped is not waited for: its upstream's work is cancelled.
func TestADroppedResponseThatStallsIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, restarting(1, false))
		r.server.Close()
		w := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		if err := r.handler.Serve(w, req, func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Session-Data", `{"n":0}`)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		in := http.Header{"Cookie": {w.Result().Cookies()[0].String()}}
		attempts, begin := 0, time.Now()
		req.Header = in.Clone()
		w = httptest.NewRecorder()
		if err := r.handler.Serve(w, req, func(w http.ResponseWriter, req *http.Request) error {
			attempts++
			w.Header().Set("Content-Length", "2")
			w.Header().Set("Session-Patch", `{"n":2}`)
			if attempts > 1 {
				_, err := io.WriteString(w, "ok")
				return err
			}
			r.meddle(in, `{"n":1}`)
			_, _ = io.WriteString(w, "o")
			select {
			case <-req.Context().Done():
				panic(http.ErrAbortHandler) // as a proxy does
			case <-time.After(time.Hour):
				return errors.New("nobody cancelled the upstream")
			}
		}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); attempts != 2 || w.Body.String() != "ok" || took > 2*time.Second {
			t.Fatalf("%d attempts took %v, and the client has %q", attempts, took, w.Body)
		}
	})
}

// TestTheLastAttemptHasTheLock: no other request can meddle with it, so a request that is
// restarted always ends well among its like.
func TestTheLastAttemptHasTheLock(t *testing.T) {
	r := newRig(t, restarting(1, false))
	in := r.begin(`{"n":0}`)
	r.run(func(w http.ResponseWriter, req *http.Request) error {
		n := strings.TrimSuffix(strings.TrimPrefix(req.Header.Get("Session-Data"), `{"n":`), "}")
		w.Header().Set("Session-Patch", `{"n":`+increment(n)+`}`)
		return nil
	})
	var wg sync.WaitGroup
	var done atomic.Int32
	for range 8 {
		wg.Go(func() {
			for range 20 {
				req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
				req.Header = in.Clone()
				err := r.handler.Serve(httptest.NewRecorder(), req, *r.app.Load())
				var p *sessionproxy.Problem
				switch {
				case err == nil:
					done.Add(1)
				case !errors.As(err, &p) || p.Status != 409:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := r.data(in); got != `{"n":`+itoa(int(done.Load()))+`}` {
		t.Fatalf("%d increments were acknowledged, data is %s", done.Load(), got)
	}
}

// TestARestartEndsTheOldCapability: an attempt's endpoint dies with it.
func TestARestartEndsTheOldCapability(t *testing.T) {
	e := newEndpointRig(t, restarting(1, false))
	in := e.begin(`{"n":0}`)
	var first string
	got := e.do("GET", "/", in, func(w http.ResponseWriter, r *http.Request) {
		if first == "" {
			first = endpointOf(r)
			e.call("PUT", first+"/data/staged", `1`)
			e.meddle(in, `{"n":1}`)
		} else {
			if got := e.call("GET", first+"/data", ""); got.status != 410 {
				t.Errorf("the first attempt's capability: %d", got.status)
			}
			if got := e.call("GET", endpointOf(r)+"/data", ""); got.body != `{"n":1}` {
				t.Errorf("the second attempt sees %s", got.body)
			}
		}
		w.Header().Set("Session-Patch", `{"n":2}`)
	})
	if data := e.data(in); got.status != 200 || data != `{"n":2}` {
		t.Fatalf("%d, %s", got.status, data)
	}
	t.Run("an early commit cannot be made again", func(t *testing.T) {
		n := 0
		got := e.do("GET", "/", in, func(w http.ResponseWriter, r *http.Request) {
			n++
			e.call("PUT", endpointOf(r)+"/data/early", `1`)
			e.call("POST", endpointOf(r)+"/commit", "")
			e.call("PUT", endpointOf(r)+"/data/n", `5`)
			e.meddle(in, `{"n":7}`)
		})
		if got.status != 409 || n != 1 {
			t.Errorf("status %d after %d attempts", got.status, n)
		}
		if data := e.data(in); data != `{"n":7,"early":1}` {
			t.Errorf("data is %s", data)
		}
	})
}

// TestMergeBeforeRestart: what can be united needs no second attempt.
func TestMergeBeforeRestart(t *testing.T) {
	r := newRig(t, restarting(1, true))
	in := r.begin(`{"n":0}`)
	n := 0
	r.do("GET", "/", in, func(w http.ResponseWriter, _ *http.Request) {
		if n++; n == 1 {
			r.meddle(in, `{"other":1}`)
		}
		w.Header().Set("Session-Patch", `{"n":1}`)
	})
	if data := r.data(in); n != 1 || data != `{"n":1,"other":1}` {
		t.Fatalf("%d attempts, %s", n, data)
	}
}
