package caddytest

import (
	"errors"
	"flag"
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

// Site is a Caddy in this process, with one clear-text listener. There is one
// Caddy per process, so tests that use it do not run in parallel.
type Site struct {
	T       testing.TB
	Address string
	Dir     string // of the database
	Storage string
	Named   string // routes, as they stand in a Caddyfile
}

// NewSite returns a site with a free address. At the end of the test its Caddy
// is stopped, and its store must be closed.
func NewSite(t testing.TB) *Site {
	t.Helper()
	s := &Site{T: t, Address: FreeAddress(t), Dir: filepath.Join(t.TempDir(), "db"), Storage: t.TempDir()}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping caddy: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
		if IsStoreOpen(s.Dir) {
			t.Error("the session store is still open after caddy has stopped")
		}
	})
	return s
}

// FreeAddress returns one on which nothing listens. Its port is below those
// that systems give to outgoing connections, which come and go meanwhile.
func FreeAddress(t testing.TB) string {
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

// Config returns the JSON of a Caddyfile with these options of the sessions
// app (all of them, or "" for an async store in the site's directory), these
// global options, and this content of the one site.
func (s *Site) Config(sessions, global, routes string) []byte {
	s.T.Helper()
	if sessions == "" {
		sessions = s.Store(s.Dir, "async")
	}
	if !strings.Contains(sessions, "endpoint ") {
		sessions += "\nendpoint off"
	}
	_, port, _ := net.SplitHostPort(s.Address)
	return Adapt(s.T, fmt.Sprintf(`{
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
%s
http://:%s {
	bind 127.0.0.1
	%s
}
`, s.Storage, sessions, global, s.Named, port, routes))
}

// Store returns the line of a badger store in a directory.
func (s *Site) Store(dir, durability string) string {
	return fmt.Sprintf("store badger %s {\n durability %s\n reserve 1MiB\n}", dir, durability)
}

// Load loads a configuration, which must not fail.
func (s *Site) Load(config []byte) {
	s.T.Helper()
	if err := Load(config); err != nil {
		s.T.Fatalf("loading: %v", err)
	}
}

// Stop ends the Caddy, as a clean end of the process does.
func (s *Site) Stop() {
	s.T.Helper()
	if err := caddy.Stop(); err != nil {
		s.T.Fatalf("stopping: %v", err)
	}
}

// Load loads a configuration.
func Load(config []byte) error { return caddy.Load(config, true) }

// Adapt returns the JSON of a Caddyfile.
func Adapt(t testing.TB, caddyfile string) []byte {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatalf("adapting: %v\n%s", err, caddyfile)
	}
	return config
}

// App serves as the upstream and returns its address.
func App(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// Counter is an app that counts visits, but not those that only read.
func Counter(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Read") == "" {
		w.Header().Set("Session-Add", `{"visits":1}`)
		return
	}
	Echo(w, r)
}

// Echo is an app that answers with the session's data.
func Echo(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, r.Header.Get("Session-Data"))
}

// Visitor is a client with cookies and connections of its own.
type Visitor struct {
	*http.Client
	T    testing.TB
	Base string
}

// Visitor returns a new one.
func (s *Site) Visitor() *Visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.T.Fatal(err)
	}
	transport := &http.Transport{}
	s.T.Cleanup(transport.CloseIdleConnections)
	return &Visitor{Client: &http.Client{Jar: jar, Transport: transport}, T: s.T, Base: "http://" + s.Address}
}

// URL is that of the site, for the cookies of the visitor.
func (v *Visitor) URL() *url.URL {
	v.T.Helper()
	u, err := url.Parse(v.Base)
	if err != nil {
		v.T.Fatal(err)
	}
	return u
}

// Fetch asks for a path and returns the response, read, and its body.
func (v *Visitor) Fetch(path string, headers ...string) (*http.Response, string) {
	v.T.Helper()
	r, err := http.NewRequest(http.MethodGet, v.Base+path, nil)
	if err != nil {
		v.T.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := v.Do(r)
	for again := 0; again < 3 && dropped(err); again++ {
		resp, err = v.Do(r)
	}
	if err != nil {
		v.T.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.T.Fatal(err)
	}
	return resp, string(body)
}

// dropped reports whether a connection ended before its first request was
// read: Caddy drops those that reach the old socket during a reload.
func dropped(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) }

// Expect asks for a path and compares status and body.
func (v *Visitor) Expect(path string, status int, body string) *http.Response {
	v.T.Helper()
	resp, got := v.Fetch(path)
	if resp.StatusCode != status || got != body {
		v.T.Errorf("GET %s: %d %q, want %d %q", path, resp.StatusCode, got, status, body)
	}
	return resp
}

// Update says that golden files are written, by `go test -update`.
var Update = flag.Bool("update", false, "write what was got into testdata, to be read before it is committed")
