// Package e2e looks at the product from outside: the real binary, real apps in
// several languages, a real browser.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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
	for _, name := range names {
		matches, _ := filepath.Glob(name)
		for _, candidate := range append([]string{name}, matches...) {
			if path, err := exec.LookPath(candidate); err == nil {
				return path
			}
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing; `make test-deps` installs it", names[0])
	}
	t.Skipf("%s is missing; `make test-deps` installs it", names[0])
	return ""
}

// process is a program of the test's own, with its output.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}
	mu   sync.Mutex
	out  bytes.Buffer
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// start starts a program; it is killed at the end of the test, if it still runs.
func start(t *testing.T, env []string, dir, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
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

// kill is kill -9 of the program and its children.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// stop asks the program to end, and waits until it has.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		p.t.Fatal("it does not end")
	}
}

// until tries again until a condition holds, or the time is up.
func until(t *testing.T, what string, p *process, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := after()
	for !condition() {
		var ended chan struct{}
		if p != nil {
			ended = p.done
		}
		select {
		case <-tick.C:
		case <-ended:
			t.Fatalf("waiting until %s: it ended:\n%s", what, p.output())
		case <-deadline:
			t.Fatalf("waiting until %s: time is up", what)
		}
	}
}

// after is when the time is up.
func after() <-chan time.Time { return time.After(60 * time.Second) }

func listens(network, address string) func() bool {
	return func() bool {
		conn, err := (&net.Dialer{}).DialContext(context.Background(), network, address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}
}

// lastPort is below those that the kernel gives to outgoing connections:
// otherwise one of these could have the port before the test's program has it.
var lastPort atomic.Int32

func init() { lastPort.Store(20000 + rand.Int32N(8000)) }

// freePort returns a port that was free just now, and no port twice.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := int(lastPort.Add(1))
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
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
