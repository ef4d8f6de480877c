package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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

// TestKill is kill -9 in the middle of a write load. The operating system
// keeps what the process has written, so nothing is lost with either durability.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, durability := range []string{"sync", "async"} {
		t.Run(durability, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t, site("durability "+durability, newUpstream(t).directive))
			stop := make(chan struct{})
			clients, acked, wait := load(t, p, stop, nil)
			until(t, "there is a load", p.process, allAcked(acked, 20))
			p.kill()
			close(stop)
			wait()
			p.start()
			checkAcked(t, clients, acked)
		})
	}
}

func TestOrderlyStopUnderLoad(t *testing.T) {
	t.Parallel()
	p := newProxy(t, site("durability async", newUpstream(t).directive))
	stop := make(chan struct{})
	clients, acked, wait := load(t, p, stop, nil)
	until(t, "there is a load", p.process, allAcked(acked, 20))
	p.stop()
	close(stop)
	wait()
	p.start()
	checkAcked(t, clients, acked)
}

func (p *proxy) reload(caddyfile string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, "http://"+p.admin+"/load", bytes.NewBufferString(caddyfile))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestReloadUnderLoad reloads while eight clients write: no request that
// reached the app is broken, and no write is lost. Caddy binds the site's
// socket anew at each reload, and drops connections that wait to be accepted
// at that moment: those requests reach no app, and are made again.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	app := newUpstream(t)
	p := newProxy(t, site("durability async", app.directive))
	stop := make(chan struct{})
	clients, acked, wait := load(t, p, stop, func(attempt string) error {
		if app.saw(attempt) {
			return fmt.Errorf("attempt %s reached the app, and its answer did not come", attempt)
		}
		return nil
	})
	for i := range 5 {
		until(t, "the load goes on", p.process, allAcked(acked, int64(20*(i+1))))
		changed := strings.Replace(p.caddyfile, "session app\n", fmt.Sprintf("header X-Reload %d\n\tsession app\n", i), 1)
		if status, body := p.reload(changed); status != http.StatusOK {
			t.Fatalf("reload: %d %s", status, body)
		}
		until(t, "the new configuration serves", p.process, func() bool {
			resp, err := http.Get(p.url("/"))
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			return resp.Header.Get("X-Reload") == fmt.Sprint(i)
		})
	}
	close(stop)
	wait()
	checkAcked(t, clients, acked)
}

func TestFailedReloadKeepsServing(t *testing.T) {
	t.Parallel()
	p := newProxy(t, site("durability async", newUpstream(t).directive))
	c := p.client(t)
	c.get("/?n=7")
	for name, tc := range map[string]struct{ from, to, want string }{
		"an unknown word":      {"session app", "session app {\n\t\tendpoint off\n\t}", "endpoint"},
		"another durability":   {"durability async", "durability sync", "durability"},
		"a store that is none": {"store badger " + p.dir + "/store", "store badger " + filepath.Join(p.dir, "Caddyfile"), "Caddyfile"},
	} {
		status, body := p.reload(strings.Replace(p.caddyfile, tc.from, tc.to, 1))
		if status == http.StatusOK || !strings.Contains(body, tc.want) {
			t.Errorf("%s: %d %s", name, status, body)
		}
		if _, _, body := c.get("/"); !strings.Contains(body, `"n":7`) {
			t.Fatalf("%s: the old configuration does not serve: %s", name, body)
		}
	}
}

func TestBesideARunningServer(t *testing.T) {
	t.Parallel()
	p := newProxy(t, site("durability async", newUpstream(t).directive))
	c := p.client(t)
	c.get("/?n=7")
	t.Run("validate", func(t *testing.T) {
		if out, err := p.command("validate", "--config", "Caddyfile"); err != nil || !strings.Contains(out, "Valid configuration") {
			t.Fatalf("%v: %s", err, out)
		}
	})
	t.Run("a second server on the directory", func(t *testing.T) {
		second := strings.NewReplacer(fmt.Sprint(p.port), fmt.Sprint(freePort(t)), p.admin, fmt.Sprintf("127.0.0.1:%d", freePort(t))).Replace(p.caddyfile)
		if err := os.WriteFile(filepath.Join(p.dir, "second"), []byte(second), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := p.command("run", "--config", "second", "--adapter", "caddyfile")
		if err == nil || !strings.Contains(out, p.dir+"/store") || !strings.Contains(out, "another process has it open") {
			t.Fatalf("%v: %s", err, out)
		}
	})
	if _, _, body := c.get("/"); !strings.Contains(body, `"n":7`) {
		t.Fatalf("got %s", body)
	}
}

func TestErrorPagesGetTheProblem(t *testing.T) {
	t.Parallel()
	p := newProxy(t, globals+`http://:{PORT} {
	session app
	`+app(t, "python")+`
	handle_errors {
		respond "sorry: {http.error.status_code} {http.session.problem} {http.request.header.Session-Data}"
	}
}
`)
	c := p.client(t)
	c.want("/", "visit 1")
	if status, _, body := c.get("/bad"); status != http.StatusBadGateway || body != "sorry: 502 urn:sessionproxy:bad-write " {
		t.Fatalf("got %d %s", status, body)
	}
	c.want("/", "visit 2")
}

// TestMetrics: what happened can be counted, and no label tells who.
func TestMetrics(t *testing.T) {
	t.Parallel()
	p := newProxy(t, globals+"http://:{PORT} {\n\tsession app\n\t"+app(t, "python")+"\n}\n")
	c := p.client(t)
	c.get("/")
	c.get("/")
	c.get("/bad")
	c.get("/raw", "Session-Data", "{}", "Cookie", "app_ticket=forged")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`caddy_sessions_opened_total{manager="app",state="new"} 1`,
		`caddy_sessions_opened_total{manager="app",state="active"} 3`,
		`caddy_sessions_commits_total{manager="app",outcome="created"} 1`,
		`caddy_sessions_commits_total{manager="app",outcome="saved"} 1`,
		`caddy_sessions_problems_total{manager="app",type="urn:sessionproxy:bad-write"} 1`,
		`caddy_sessions_refused_tickets_total{kind="malformed",manager="app"} 1`,
		`caddy_sessions_removed_headers_total{manager="app",place="request"} 1`,
	} {
		if !strings.Contains(string(body), want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
}
