package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
