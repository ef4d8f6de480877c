package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// proxy is one running proxy.
type proxy struct {
	f          *fleet
	cmd        *exec.Cmd
	done       chan struct{}
	dir        string
	address    string // of the site with the default policy, or of the bare one
	serialized string // of the site whose policy is serialized
	merging    string // of the one that unites changes
	admin      *http.Client
	socket     string // of the admin endpoint
	env        []string
	binary     string

	cookies []string // of the sessions that the load is spread over
	shared  string   // of the one session that all clients patch
	counter string   // of the one session that all clients increment
	planner string   // of the one session whose changes are united
}

const bareSite = `
http://:{PORT} {
	bind 127.0.0.1
	reverse_proxy {UPSTREAM}
}
`

const sessionSites = `
http://:{PORT} {
	bind 127.0.0.1
	session bench
	reverse_proxy {UPSTREAM}
}
http://:{SERIALIZED} {
	bind 127.0.0.1
	session counter {
		locking serialized {
			queue 100000
			wait 10m
		}
	}
	reverse_proxy {UPSTREAM}
}
http://:{MERGING} {
	bind 127.0.0.1
	session planner {
		locking optimistic
	}
	reverse_proxy {UPSTREAM}
}
`

// spec says what a proxy is to be.
type spec struct {
	name       string
	durability string // empty: no sessions
	noEndpoint bool
	env        []string
	sites      string // instead of the usual ones; {SITE1} … are the ports behind {PORT}
	sweep      string // sweep_interval, if not the default
	compress   bool   // the store's files
	binary     string // of the proxy, if not that of the fleet
}

func (s *spec) app() string {
	if s.durability == "" {
		return ""
	}
	lines := []string{"sessions {", "store badger {DIR}/store {", "durability " + s.durability, "}", "endpoint 127.0.0.1:{ENDPOINT}"}
	if s.noEndpoint {
		lines[4] = "endpoint off"
	}
	if s.compress {
		lines[2] += "\ncompression zstd"
	}
	if s.sweep != "" {
		lines = append(lines, "sweep_interval "+s.sweep)
	}
	return strings.Join(append(lines, "}"), "\n")
}

// newProxy starts a proxy and waits until it serves.
func newProxy(f *fleet, s spec) (*proxy, error) {
	p := &proxy{f: f, dir: filepath.Join(f.dir, s.name), env: s.env, binary: cmp.Or(s.binary, f.binary)}
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return nil, err
	}
	sites := s.sites
	switch {
	case sites != "":
	case s.durability == "":
		sites = bareSite
	default:
		sites = sessionSites
	}
	ports, err := freePorts(4)
	if err != nil {
		return nil, err
	}
	p.address, p.serialized, p.merging = "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1], "127.0.0.1:"+ports[3]
	p.socket = filepath.Join(p.dir, "admin.sock")
	config := strings.NewReplacer("{PORT}", ports[0], "{SERIALIZED}", ports[1], "{ENDPOINT}", ports[2], "{MERGING}", ports[3],
		"{SITE1}", ports[1], "{SITE2}", ports[3], "{UPSTREAM}", f.upstream, "{DIR}", p.dir).Replace(
		"{\n\tadmin unix/" + p.socket + "\n\tpersist_config off\n\tauto_https off\n\t" + s.app() + "\n}\n" + sites)
	if err := os.WriteFile(filepath.Join(p.dir, "Caddyfile"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	return p, p.start()
}

// start starts the program, or starts it again, and waits until it serves.
func (p *proxy) start() error {
	p.admin = &http.Client{Timeout: 10 * time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", p.socket)
		},
	}}
	cmd := exec.CommandContext(p.f.ctx, p.binary, "run", "--config", "Caddyfile", "--adapter", "caddyfile")
	cmd.Dir = p.dir
	cmd.Env = append(append(os.Environ(), "HOME="+p.dir, "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir), p.env...)
	out := &output{ready: make(chan struct{})}
	ready, done := out.ready, make(chan struct{})
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.done = cmd, done
	go func() { _ = cmd.Wait(); close(done) }()
	select {
	case <-ready:
		return nil
	case <-done:
		return errors.New(out.text())
	}
}

// stop ends the proxy in good order.
func (p *proxy) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.done
}

// begin stores that many new sessions, and returns their cookies.
func (p *proxy) begin(n int) ([]string, error) {
	t, err := p.f.load(job{Address: p.address, Path: "/begin", Connections: min(n, connections), Requests: n, Collect: true})
	if err != nil {
		return nil, err
	}
	if len(t.Cookies) != n {
		return nil, fmt.Errorf("%d of %d sessions began", len(t.Cookies), n)
	}
	return t.Cookies, nil
}

// load does a job in a process of its own. A job with errors is an error.
func (f *fleet) load(j job) (tally, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return tally{}, err
	}
	cmd := exec.CommandContext(f.ctx, f.self, roleLoad)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(text), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return tally{}, fmt.Errorf("running load generator: %w", err)
	}
	var t tally
	if err := json.Unmarshal(out, &t); err != nil {
		return tally{}, fmt.Errorf("reading the load generator's result: %w", err)
	}
	if t.Errors > 0 {
		return t, fmt.Errorf("%d of %d connections failed: %s", t.Errors, j.Connections, t.Error)
	}
	return t, nil
}

// freePorts returns ports that were free just now.
func freePorts(n int) (ports []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
		if err != nil {
			return nil, err
		}
		defer l.Close() // only at the end, so that no port is chosen twice
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports, nil
}

// output keeps what the proxy logs while it starts.
type output struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	ready chan struct{} // closed when the proxy serves; nil afterwards
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ready == nil {
		return len(b), nil
	}
	o.buf.Write(b)
	if bytes.Contains(o.buf.Bytes(), []byte("serving initial configuration")) {
		close(o.ready)
		o.ready = nil
	}
	return len(b), nil
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
