// Package e2e looks at the product from outside: the real binary, real apps in
// several languages, a real browser.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/e2e/internal/product"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sessionproxy-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "sessionproxy")
	if err := product.Build(context.Background(), binary, "-race"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// need returns the path of a program, or says by name what is missing.
func need(t *testing.T, names ...string) string {
	t.Helper()
	path, err := product.Find(names...)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
	return path
}

// process is a program of one test.
type process struct {
	*product.Process
	t *testing.T
}

func (p *process) output() string { return p.Output() }

// start starts a program; it is killed at the end of the test, if it still runs.
func start(t *testing.T, env []string, dir, name string, args ...string) *process {
	t.Helper()
	started, err := product.Start(env, dir, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Process: started, t: t}
	t.Cleanup(func() {
		p.kill()
		if text := p.output(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
			t.Errorf("%s:\n%s", name, text)
		} else if t.Failed() {
			t.Logf("%s:\n%s", name, text)
		}
	})
	return p
}

func (p *process) kill() { p.Kill() }

// stop asks the program to end, and waits until it has.
func (p *process) stop() {
	p.t.Helper()
	if err := p.Stop(); err != nil {
		p.t.Fatal(err)
	}
}

// until tries again until a condition holds, or the time is up.
func until(t *testing.T, what string, p *process, condition func() bool) {
	t.Helper()
	var program *product.Process
	if p != nil {
		program = p.Process
	}
	if err := product.Await(what, program, time.Minute, condition); err != nil {
		t.Fatal(err)
	}
}

// after is when the time is up.
func after() <-chan time.Time { return time.After(60 * time.Second) }

func listens(network, address string) func() bool {
	return func() bool { return product.Listens(network, address) }
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := product.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// proxy is one running proxy, with directories of its own.
type proxy struct {
	*process
	t         *testing.T
	dir       string
	port      int
	admin     string // the address of its admin endpoint
	endpoint  string // and of that for sessions
	caddyfile string
}

// newProxy starts the proxy with a Caddyfile in which {PORT} and {DIR} are replaced.
func newProxy(t *testing.T, caddyfile string) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e") // short: it holds Unix sockets
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, dir: dir, port: freePort(t), admin: loopback(t), endpoint: loopback(t)}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p.configure(caddyfile)
	p.start()
	return p
}

func loopback(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", freePort(t))
}

func (p *proxy) configure(caddyfile string) {
	p.t.Helper()
	p.caddyfile = strings.NewReplacer("{PORT}", fmt.Sprint(p.port), "{DIR}", p.dir, "{ADMIN}", p.admin, "{ENDPOINT}", p.endpoint).Replace(caddyfile)
	if err := os.WriteFile(filepath.Join(p.dir, "Caddyfile"), []byte(p.caddyfile), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *proxy) env() []string {
	return []string{"HOME=" + p.dir, "XDG_DATA_HOME=" + filepath.Join(p.dir, "data"), "XDG_CONFIG_HOME=" + filepath.Join(p.dir, "config")}
}

func (p *proxy) start() {
	p.t.Helper()
	p.process = start(p.t, p.env(), p.dir, binary, "run", "--config", "Caddyfile", "--adapter", "caddyfile")
	until(p.t, "the proxy serves", p.process, func() bool { return strings.Contains(p.output(), "serving initial configuration") })
}

// command runs the binary beside the proxy, and returns what it prints.
func (p *proxy) command(args ...string) (string, error) {
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), p.env()...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (p *proxy) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", p.port, path) }

const globals = `{
	admin {ADMIN}
	auto_https off
	sessions {
		store badger {DIR}/store
		endpoint {ENDPOINT}
	}
}
`
