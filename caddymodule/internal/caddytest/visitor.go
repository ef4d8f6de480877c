package caddytest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
)

// Dump is an app that answers with what it got: headers, and trailers after the body.
func Dump(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	_ = json.NewEncoder(w).Encode(map[string]http.Header{"header": r.Header, "trailer": r.Trailer})
}

// Raw sends bytes as they are and returns the response and its body.
func (s *Site) Raw(request string) (*http.Response, string) {
	s.T.Helper()
	conn, err := net.Dial("tcp", s.Address)
	if err != nil {
		s.T.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		s.T.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.T.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.T.Fatal(err)
	}
	return resp, string(body)
}

// CountAndEcho counts a visit and answers with the data from before it.
func CountAndEcho(w http.ResponseWriter, r *http.Request) {
	if Counter(w, r); r.Header.Get("X-Read") == "" {
		Echo(w, r)
	}
}

// Data returns a number in the visitor's data, as the app sees it next.
func (v *Visitor) Data(name string) int {
	v.T.Helper()
	_, body := v.Fetch("/", "X-Read", "yes")
	var data map[string]int
	if body != "" {
		if err := json.Unmarshal([]byte(body), &data); err != nil {
			v.T.Errorf("reading %q: %v", body, err)
		}
	}
	return data[name]
}

// Validate loads a configuration as `validate` does, and starts nothing.
func Validate(config []byte) error {
	cfg := new(caddy.Config)
	if err := json.Unmarshal(config, cfg); err != nil {
		return err
	}
	return caddy.Validate(cfg)
}

// Reload loads a configuration and asks for / until there is an answer: a
// connection that the old one had not accepted is dropped with it.
func (v *Visitor) Reload(s *Site, config []byte) {
	v.T.Helper()
	s.Load(config)
	for range 20 {
		resp, err := v.Get(v.Base)
		if err != nil {
			continue
		}
		resp.Body.Close()
		return
	}
	v.T.Fatal("no connection after the reload")
}

// ID signs in and returns the session's id.
func (v *Visitor) ID(path string) string {
	v.T.Helper()
	_, id := v.Fetch(path)
	return id
}

// Writer is an app that signs in at /, and signs out at /out.
func Writer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/out" {
		w.Header().Set("Session-Action", "destroy")
	} else {
		w.Header().Set("Session-Principal", `"alice"`)
	}
	_, _ = fmt.Fprint(w, r.Header.Get("Session-Id"))
}

// ShortDir is one whose paths fit a Unix socket.
func ShortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ep")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// IsStoreOpen reports whether this process holds the badger store in a directory.
func IsStoreOpen(dir string) bool { return runtime.IsOpen("badger:" + dir) }
