package sessionproxy_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// TestOneTransaction: endpoint and headers are two views of one session.
func TestOneTransaction(t *testing.T) {
	const before = `{"a":1}`
	for _, tc := range []struct {
		name  string
		app   func(e *endpointRig, ep string, w http.ResponseWriter) error
		after string
		check func(t *testing.T, got reply)
	}{
		{"both commit together", func(e *endpointRig, ep string, w http.ResponseWriter) error {
			e.call("PUT", ep+"/data/b", `2`)
			w.Header().Set("Session-Patch", `{"c":3}`)
			return nil
		}, `{"a":1,"b":2,"c":3}`, nil},
		{"headers come after the endpoint", func(e *endpointRig, ep string, w http.ResponseWriter) error {
			e.call("PUT", ep+"/data/b", `2`)
			w.Header().Set("Session-Patch", `{"b":3}`)
			return nil
		}, `{"a":1,"b":3}`, nil},
		{"a bad header drops both", func(e *endpointRig, ep string, w http.ResponseWriter) error {
			e.call("PUT", ep+"/data/b", `2`)
			w.Header().Set("Session-Patch", `{`)
			return nil
		}, before, func(t *testing.T, got reply) {
			if got.status != 502 {
				t.Errorf("status %d", got.status)
			}
		}},
		{"500 drops both", func(e *endpointRig, ep string, w http.ResponseWriter) error {
			e.call("PUT", ep+"/data/b", `2`)
			w.WriteHeader(http.StatusInternalServerError)
			return nil
		}, before, nil},
		{"the header's rollback drops both", func(e *endpointRig, ep string, w http.ResponseWriter) error {
			e.call("PUT", ep+"/data/b", `2`)
			w.Header().Set("Session-Action", "rollback")
			return nil
		}, before, nil},
		{"the upstream dies between two writes", func(e *endpointRig, ep string, _ http.ResponseWriter) error {
			e.call("PUT", ep+"/data/b", `2`)
			return errors.New("no upstream")
		}, before, nil},
		{"the endpoint's rollback drops what was staged before", func(e *endpointRig, ep string, _ http.ResponseWriter) error {
			e.call("PUT", ep+"/data/b", `2`)
			e.call("POST", ep+"/rollback", "")
			e.call("PUT", ep+"/data/c", `3`)
			return nil
		}, `{"a":1,"c":3}`, nil},
		{"refreshing over writes is refused", func(e *endpointRig, ep string, _ http.ResponseWriter) error {
			e.call("PUT", ep+"/data/b", `2`)
			if got := e.call("POST", ep+"/refresh", ""); got.status != 409 {
				e.t.Errorf("refresh: %d", got.status)
			}
			return nil
		}, `{"a":1,"b":2}`, nil},
		{"an early commit stays, whatever follows", func(e *endpointRig, ep string, w http.ResponseWriter) error {
			e.call("PUT", ep+"/data/b", `2`)
			e.call("POST", ep+"/commit", "")
			e.call("PUT", ep+"/data/c", `3`)
			w.WriteHeader(http.StatusInternalServerError)
			return nil
		}, `{"a":1,"b":2}`, nil},
		{"what follows an early commit is committed with the headers", func(e *endpointRig, ep string, w http.ResponseWriter) error {
			e.call("PUT", ep+"/data/b", `2`)
			e.call("POST", ep+"/commit", "")
			if got := e.call("GET", ep+"/data", ""); got.body != `{"a":1,"b":2}` {
				e.t.Errorf("after the commit: %s", got.body)
			}
			e.call("PUT", ep+"/data/c", `3`)
			w.Header().Set("Session-Add", `{"a":1}`)
			return nil
		}, `{"a":2,"b":2,"c":3}`, nil},
		{"writes after the headers commit by themselves", func(e *endpointRig, ep string, w http.ResponseWriter) error {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			e.call("PUT", ep+"/data/b", `2`)
			if got := e.call("GET", ep+"/data", ""); got.body != `{"a":1,"b":2}` {
				e.t.Errorf("after a write in the stream: %s", got.body)
			}
			return errors.New("the stream breaks")
		}, `{"a":1,"b":2}`, nil},
		{"what would need a ticket after the headers is refused", func(e *endpointRig, ep string, w http.ResponseWriter) error {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			for _, got := range []answer{e.call("POST", ep+"/regenerate", ""), e.call("PUT", ep+"/principal", `"alice"`)} {
				if got.status != 409 || problemOf(got) != sessionproxy.TypeConflict {
					e.t.Errorf("%d %s", got.status, got.body)
				}
			}
			return nil
		}, before, nil},
		{"signing in by the endpoint", func(e *endpointRig, ep string, _ http.ResponseWriter) error {
			e.call("PUT", ep+"/principal", `"alice"`)
			return nil
		}, "", func(t *testing.T, got reply) {
			if got.cookie == nil {
				t.Error("no new ticket")
			}
		}},
		{"destroying by the endpoint", func(e *endpointRig, ep string, _ http.ResponseWriter) error {
			if got := e.call("DELETE", ep, ""); got.status != 204 {
				e.t.Errorf("%d %s", got.status, got.body)
			}
			return nil
		}, "", func(t *testing.T, got reply) {
			if got.cookie == nil || got.cookie.MaxAge >= 0 {
				t.Error("the cookie is not cleared")
			}
		}},
		{"destroying twice is once", func(e *endpointRig, ep string, w http.ResponseWriter) error {
			e.call("DELETE", ep, "")
			e.call("POST", ep+"/commit", "")
			w.Header().Set("Session-Action", "destroy")
			return nil
		}, "", func(t *testing.T, got reply) {
			if got.status != http.StatusOK || got.cookie == nil || got.cookie.MaxAge >= 0 {
				t.Errorf("%d, cookie %v", got.status, got.cookie)
			}
		}},
		{"staging nothing new is no write", func(e *endpointRig, ep string, _ http.ResponseWriter) error {
			e.call("PUT", ep+"/data/a", `1`)
			return nil
		}, before, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := newEndpointRig(t, nil)
			in := e.begin(before)
			e.run(func(w http.ResponseWriter, r *http.Request) error { return tc.app(e, endpointOf(r), w) })
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = in.Clone()
			got := e.send(req)
			if tc.check != nil {
				tc.check(t, got)
			}
			if tc.after == "" {
				return
			}
			if after := e.data(in); after != tc.after {
				t.Errorf("data is %s, want %s", after, tc.after)
			}
		})
	}
}

// TestMetadataShowsWhatIsStaged: what the commit would make of it, but for the
// version and the times, which are those of what is stored.
func TestMetadataShowsWhatIsStaged(t *testing.T) {
	type call struct{ method, path, body string }
	const day = 86400
	for _, tc := range []struct {
		name  string
		calls []call
		size  int
		who   any
		lasts int64 // seconds from the request
		ends  any
	}{
		{"nothing", nil, 7, "old", 1800, nil},
		{"data", []call{{"PUT", "/data/long", `"xxxx"`}}, 21, "old", 1800, nil},
		{"who is signed in", []call{{"PUT", "/principal", `"alice"`}}, 7, "alice", 1800, nil},
		{"nobody any more", []call{{"PUT", "/principal", `null`}}, 7, nil, 1800, nil},
		{"a timeout", []call{{"PUT", "/timeout", `{"idle":60}`}}, 7, "old", 60, nil},
		{"a timeout above the cap", []call{{"PUT", "/timeout", `{"idle":999999999,"absolute":999999999}`}}, 7, "old", 12 * 3600, nil},
		{"a sign-in that is remembered", []call{{"PUT", "/principal", `"alice"`}, {"PUT", "/timeout", `{"idle":999999999,"absolute":999999999}`}}, 7, "alice", day, nil},
		{"the end", []call{{"PUT", "/data/long", `"xxxx"`}, {"DELETE", "", ""}}, 21, "old", 1800, true},
		{"the end, rolled back", []call{{"DELETE", "", ""}, {"POST", "/rollback", ""}}, 7, "old", 1800, nil},
		{"what is committed", []call{{"PUT", "/data/long", `"xxxx"`}, {"POST", "/commit", ""}}, 21, "old", 1800, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := newEndpointRig(t, func(_ *sessionproxy.Config, p *session.Policy) {
				p.MaxIdle, p.MaxAbsolute = day*time.Second, day*time.Second
			})
			in := e.begin(`{"a":1}`)
			got := e.do("GET", "/", in, writes("Session-Principal", `"old"`))
			in = http.Header{"Cookie": {cookieName + "=" + got.cookie.Value}}
			e.now = e.now.Add(time.Minute)
			e.do("GET", "/", in, func(w http.ResponseWriter, r *http.Request) {
				var before, after map[string]any
				if err := json.Unmarshal([]byte(e.call("GET", endpointOf(r), "").body), &before); err != nil {
					t.Fatal(err)
				}
				for _, c := range tc.calls {
					if got := e.call(c.method, endpointOf(r)+c.path, c.body); got.status > 299 {
						t.Fatalf("%s %s: %d %s", c.method, c.path, got.status, got.body)
					}
				}
				got := e.call("GET", endpointOf(r), "")
				if err := json.Unmarshal([]byte(got.body), &after); err != nil {
					t.Fatal(err)
				}
				lasts := int64(after["expires"].(float64)) - e.now.Unix()
				if tc.lasts == 12*3600 { // since the sign-in, a minute ago
					lasts += 60
				}
				if after["size"] != float64(tc.size) || after["principal"] != tc.who || lasts != tc.lasts || after["destroyed"] != tc.ends {
					t.Errorf("got %s, lasting %d", got.body, lasts)
				}
				committed := tc.name == "what is committed"
				if after["state"] != "active" || after["id"] != before["id"] || after["created"] != before["created"] {
					t.Errorf("%v became %v", before, after)
				}
				if (after["version"] == before["version"]) == committed || (after["written"] == before["written"]) == committed {
					t.Errorf("%v became %v", before, after)
				}
				w.WriteHeader(http.StatusInternalServerError)
			})
		})
	}
}

// TestConditionsInAStream: what If-Match was checked against is what changes.
func TestConditionsInAStream(t *testing.T) {
	e := newEndpointRig(t, nil)
	in := e.begin(`{"n":0}`)
	done := 0
	e.do("GET", "/", in, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		var wg sync.WaitGroup
		var mu sync.Mutex
		for range 4 {
			wg.Go(func() {
				for range 25 {
					data := e.call("GET", endpointOf(r)+"/data/n", "")
					got := e.call("PUT", endpointOf(r)+"/data/n", increment(data.body), "If-Match", data.tag())
					switch got.status {
					case http.StatusOK:
						mu.Lock()
						done++
						mu.Unlock()
					case http.StatusPreconditionFailed:
					default:
						t.Errorf("%d %s", got.status, got.body)
					}
					e.meddle(in, `{"other":1}`)
				}
			})
		}
		wg.Wait()
	})
	var stored struct{ N int }
	if err := json.Unmarshal([]byte(e.data(in)), &stored); err != nil || stored.N != done {
		t.Fatalf("%d writes were acknowledged, %d are stored (%v)", done, stored.N, err)
	}
}

// TestManyAdditionsNeverConflict: however many one request stages.
func TestManyAdditionsNeverConflict(t *testing.T) {
	e := newEndpointRig(t, nil)
	in := e.begin(`{"n":0}`)
	e.do("GET", "/", in, func(_ http.ResponseWriter, r *http.Request) {
		for range 300 {
			e.call("POST", endpointOf(r)+"/add", `{"n":1}`)
		}
		e.meddle(in, `{"n":1000}`)
	})
	if data := e.data(in); data != `{"n":1300}` {
		t.Fatalf("data is %s", data)
	}
}
