package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

// site is a Caddy in this process, with one clear-text listener. There is one
// Caddy per process, so tests that use it do not run in parallel.
type site struct {
	t       testing.TB
	address string
	dir     string // of the database
	storage string
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, address: freeAddress(t), dir: filepath.Join(t.TempDir(), "db"), storage: t.TempDir()}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping caddy: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
		if isStoreOpen(s.dir) {
			t.Error("the session store is still open after caddy has stopped")
		}
	})
	return s
}

// freeAddress returns one on which nothing listens. Its port is below those
// that systems give to outgoing connections, which come and go meanwhile.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 28500+rand.IntN(3500))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// config returns the JSON of a Caddyfile with these options of the sessions
// app (all of them, or "" for an async store in the site's directory), these
// global options, and this content of the one site.
func (s *site) config(sessions, global, routes string) []byte {
	s.t.Helper()
	if sessions == "" {
		sessions = s.store(s.dir, "async")
	}
	if !strings.Contains(sessions, "endpoint ") {
		sessions += "\nendpoint off"
	}
	_, port, _ := net.SplitHostPort(s.address)
	return adapt(s.t, fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	grace_period 10s
	storage file_system %s
	sessions {
		%s
	}
	%s
}
http://:%s {
	bind 127.0.0.1
	%s
}
`, s.storage, sessions, global, port, routes))
}

func (s *site) store(dir, durability string) string {
	return fmt.Sprintf("store badger %s {\n durability %s\n reserve 1MiB\n}", dir, durability)
}

func (s *site) load(config []byte) {
	s.t.Helper()
	if err := load(config); err != nil {
		s.t.Fatalf("loading: %v", err)
	}
}

// stop ends the Caddy, as a clean end of the process does.
func (s *site) stop() {
	s.t.Helper()
	if err := caddy.Stop(); err != nil {
		s.t.Fatalf("stopping: %v", err)
	}
}

func load(config []byte) error { return caddy.Load(config, true) }

func adapt(t testing.TB, caddyfile string) []byte {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatalf("adapting: %v\n%s", err, caddyfile)
	}
	return config
}

// app serves as the upstream and returns its address.
func app(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// counter is an app that counts visits, but not those that only read.
func counter(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Read") == "" {
		w.Header().Set("Session-Add", `{"visits":1}`)
		return
	}
	echo(w, r)
}

// echo is an app that answers with the session's data.
func echo(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, r.Header.Get("Session-Data"))
}

// visitor is a client with cookies and connections of its own.
type visitor struct {
	*http.Client
	t    testing.TB
	base string
}

func (s *site) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	transport := &http.Transport{}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &visitor{Client: &http.Client{Jar: jar, Transport: transport}, t: s.t, base: "http://" + s.address}
}

// url is that of the site, for the cookies of the visitor.
func (v *visitor) url() *url.URL {
	v.t.Helper()
	u, err := url.Parse(v.base)
	if err != nil {
		v.t.Fatal(err)
	}
	return u
}

// get asks for a path and returns the response, read, and its body.
func (v *visitor) get(path string, headers ...string) (*http.Response, string) {
	v.t.Helper()
	r, err := http.NewRequest(http.MethodGet, v.base+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := v.Do(r)
	for again := 0; again < 3 && dropped(err); again++ {
		resp, err = v.Do(r)
	}
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp, string(body)
}

// dropped reports whether a connection ended before its first request was
// read: Caddy drops those that reach the old socket during a reload.
func dropped(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) }

// expect asks for a path and compares status and body.
func (v *visitor) expect(path string, status int, body string) *http.Response {
	v.t.Helper()
	resp, got := v.get(path)
	if resp.StatusCode != status || got != body {
		v.t.Errorf("GET %s: %d %q, want %d %q", path, resp.StatusCode, got, status, body)
	}
	return resp
}
