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

// counter is an upstream in Go, fast enough for a load: each request sets the
// visitor's n to the one asked for.
func counter(t *testing.T) (directive string, reached *atomic.Int64) {
	t.Helper()
	reached = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		if n := r.URL.Query().Get("n"); n != "" {
			w.Header().Set("Session-Patch", fmt.Sprintf(`{"n":%s,"padding":%q}`, n, strings.Repeat("x", len(n)*100)))
		}
		_, _ = io.WriteString(w, r.Header.Get("Session-Data"))
	}))
	t.Cleanup(s.Close)
	return "reverse_proxy " + strings.TrimPrefix(s.URL, "http://"), reached
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
func load(t *testing.T, p *proxy, stop <-chan struct{}) (clients []*client, acked []atomic.Int64, wait func()) {
	t.Helper()
	const n = 8
	acked = make([]atomic.Int64, n)
	var wg sync.WaitGroup
	for i := range n {
		c := p.client(t)
		clients = append(clients, c)
		wg.Go(func() {
			for k := int64(1); ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, p.url(fmt.Sprintf("/?n=%d", k)), nil)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := c.Do(req)
				if err != nil {
					return // the proxy was killed
				}
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Errorf("request %d: %s", k, resp.Status)
					return
				}
				if err == nil {
					acked[i].Store(k)
				}
			}
		})
	}
	return clients, acked, wg.Wait
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
	for _, durability := range []string{"sync", "async"} {
		t.Run(durability, func(t *testing.T) {
			t.Parallel()
			directive, _ := counter(t)
			p := newProxy(t, site("durability "+durability, directive))
			stop := make(chan struct{})
			clients, acked, wait := load(t, p, stop)
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
	directive, _ := counter(t)
	p := newProxy(t, site("durability async", directive))
	stop := make(chan struct{})
	clients, acked, wait := load(t, p, stop)
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

// TestReloadUnderLoad reloads while eight clients write over kept connections:
// no request fails, and no write is lost.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	directive, _ := counter(t)
	p := newProxy(t, site("durability async", directive))
	stop := make(chan struct{})
	clients, acked, wait := load(t, p, stop)
	for i := range 5 {
		until(t, "the load goes on", p.process, allAcked(acked, int64(20*(i+1))))
		changed := strings.Replace(p.caddyfile, "session app\n", fmt.Sprintf("header X-Reload %d\n\tsession app\n", i), 1)
		if status, body := p.reload(changed); status != http.StatusOK {
			t.Fatalf("reload: %d %s", status, body)
		}
		if _, header, _ := clients[0].get("/"); header.Get("X-Reload") != fmt.Sprint(i) {
			t.Fatalf("the new configuration does not serve: %v", header)
		}
	}
	close(stop)
	wait()
	checkAcked(t, clients, acked)
}

func TestFailedReloadKeepsServing(t *testing.T) {
	t.Parallel()
	directive, _ := counter(t)
	p := newProxy(t, site("durability async", directive))
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
	directive, _ := counter(t)
	p := newProxy(t, site("durability async", directive))
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
	c.get("/raw", "Session-Data", "{}", "Cookie", "app_session=forged")
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
