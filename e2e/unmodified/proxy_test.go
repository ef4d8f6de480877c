package unmodified

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/e2e/internal/product"
)

// proxy is one running proxy, with a directory of its own.
type proxy struct {
	*product.Process
	t                                   *testing.T
	dir, base, address, admin, endpoint string
}

// session is the session directive of a copy, or nothing.
type session func(m *mount, words string) string

// plain is Caddy without a session handler.
func plain(*mount, string) string { return "" }

// withJar keeps the app's cookies; more are words besides the app's own.
func withJar(more ...string) session {
	return func(m *mount, words string) string {
		lines := append([]string{words}, more...)
		if !m.stripped {
			lines = append(lines, "mount "+m.path)
		}
		return fmt.Sprintf("session %s {\n\t\t\tmax_timeout 30d 365d\n\t\t\tcookies {\n\t\t\t\t%s\n\t\t\t}\n\t\t}", m.name, strings.Join(lines, "\n\t\t\t\t"))
	}
}

// newProxy starts the proxy in front of both copies of each app.
func newProxy(t *testing.T, s session, more string, all ...*pair) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp(workdir, "proxy")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, dir: dir}
	for _, to := range []*string{&p.address, &p.admin, &p.endpoint} {
		if *to, _, err = free(); err != nil {
			t.Fatal(err)
		}
	}
	p.base = "http://" + p.address
	p.configure(s, more, all...)
	p.start()
	return p
}

// configure writes the Caddyfile; more are further routes.
func (p *proxy) configure(s session, more string, all ...*pair) {
	p.t.Helper()
	var routes strings.Builder
	for _, pair := range all {
		for _, m := range pair.mounts() {
			routes.WriteString(strings.ReplaceAll(m.route, "{session}", s(m, pair.app.words)))
		}
	}
	text := fmt.Sprintf("{\n\tadmin %s\n\tauto_https off\n\tsessions {\n\t\tstore badger %s/store\n\t\tendpoint %s\n\t}\n}\nhttp://%s {\n\tbind 127.0.0.1\n%s%s}\n",
		p.admin, p.dir, p.endpoint, p.address, routes.String(), more)
	if err := os.WriteFile(filepath.Join(p.dir, "Caddyfile"), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *proxy) env() []string {
	return []string{"HOME=" + p.dir, "XDG_DATA_HOME=" + p.dir + "/data", "XDG_CONFIG_HOME=" + p.dir + "/config"}
}

func (p *proxy) start() {
	p.t.Helper()
	var err error
	if p.Process, err = product.Start(p.env(), p.dir, binary, "run", "--config", "Caddyfile", "--adapter", "caddyfile"); err != nil {
		p.t.Fatal(err)
	}
	started := p.Process
	p.t.Cleanup(func() {
		started.Kill()
		if text := started.Output(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
			p.t.Errorf("the proxy:\n%s", text)
		} else if p.t.Failed() {
			p.t.Logf("the proxy:\n%s", text)
		}
	})
	serving := func() bool { return strings.Contains(started.Output(), "serving initial configuration") }
	if err := product.Await("the proxy serves", started, time.Minute, serving); err != nil {
		p.t.Fatal(err)
	}
}

// reload gives the running proxy what configure wrote.
func (p *proxy) reload() {
	p.t.Helper()
	if out, err := p.command("reload", "--config", "Caddyfile", "--adapter", "caddyfile", "--address", p.admin); err != nil {
		p.t.Fatalf("reloading: %v:\n%s", err, out)
	}
}

// command runs the binary beside the proxy, and returns what it prints.
func (p *proxy) command(args ...string) (string, error) {
	cmd := exec.CommandContext(p.t.Context(), binary, args...)
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), p.env()...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
