package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// upstream is an app in Go, fast enough for a load: each request sets the
// visitor's n to the one asked for.
type upstream struct {
	directive string
	mu        sync.Mutex
	reached   map[string]bool // protected by mu: the X-Attempt of requests that came
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{reached: make(map[string]bool)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.reached[r.Header.Get("X-Attempt")] = true
		u.mu.Unlock()
		if n := r.URL.Query().Get("n"); n != "" {
			w.Header().Set("Session-Patch", fmt.Sprintf(`{"n":%s,"padding":%q}`, n, strings.Repeat("x", len(n)*100)))
		}
		_, _ = io.WriteString(w, r.Header.Get("Session-Data"))
	}))
	t.Cleanup(s.Close)
	u.directive = "reverse_proxy " + strings.TrimPrefix(s.URL, "http://")
	return u
}

// saw reports whether the request of that attempt came.
func (u *upstream) saw(attempt string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.reached[attempt]
}

func site(options, directive string) string {
	return `{
	admin {ADMIN}
	auto_https off
	sessions {
		store badger {DIR}/store {
			` + options + `
		}
		endpoint {ENDPOINT}
	}
}
http://:{PORT} {
	session app
	` + directive + `
}
`
}

// load has clients write numbers, each in its own session, until stop is
// closed, and returns the last number that each had acknowledged.
//
// A request that fails is made again as long as broken, called with its
// X-Attempt, does not say that it should not have; nil ends the client, whose
// proxy was killed.
func load(t *testing.T, p *proxy, stop <-chan struct{}, broken func(attempt string) error) (clients []*client, acked []atomic.Int64, wait func()) {
	t.Helper()
	const n = 8
	acked = make([]atomic.Int64, n)
	var wg sync.WaitGroup
	for i := range n {
		c := p.client(t)
		clients = append(clients, c)
		wg.Go(func() {
			for k, try := int64(1), 0; ; try++ {
				select {
				case <-stop:
					return
				default:
				}
				attempt := fmt.Sprintf("%d-%d-%d", i, k, try)
				if err := c.write(k, attempt); err != nil {
					if broken == nil {
						return
					}
					if err := broken(attempt); err != nil {
						t.Errorf("client %d, request %d: %v", i, k, err)
						return
					}
					continue
				}
				acked[i].Store(k)
				k++
			}
		})
	}
	return clients, acked, wg.Wait
}

// write has the app set n, and returns an error if the whole answer did not come.
func (c *client) write(n int64, attempt string) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, c.p.url(fmt.Sprintf("/?n=%d", n)), nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Attempt", attempt)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		c.t.Errorf("request %s: %s", attempt, resp.Status)
	}
	return nil
}

func allAcked(acked []atomic.Int64, n int64) func() bool {
	return func() bool {
		for i := range acked {
			if acked[i].Load() < n {
				return false
			}
		}
		return true
	}
}

// checkAcked expects every acknowledged number, or a later one, whole.
func checkAcked(t *testing.T, clients []*client, acked []atomic.Int64) {
	t.Helper()
	for i, c := range clients {
		_, _, body := c.get("/")
		var data struct {
			N       int64
			Padding string
		}
		if err := json.Unmarshal([]byte(body), &data); err != nil || len(data.Padding) != len(fmt.Sprint(data.N))*100 {
			t.Fatalf("client %d: torn: %.60s (%v)", i, body, err)
		}
		if data.N < acked[i].Load() {
			t.Errorf("client %d: %d was acknowledged, %d is there", i, acked[i].Load(), data.N)
		}
	}
}
