package runtime_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
)

func TestEndpointIsRefused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := caddytest.ShortDir(t)
	live, err := net.Listen("unix", filepath.Join(dir, "live.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := caddytest.NewSite(t)
	routes := "session shop\nrespond old"
	s.Load(s.Config("", "", routes))
	for name, c := range map[string]struct{ options, routes, want string }{
		"a port that is taken":            {"endpoint " + taken.Addr().String(), routes, "if a proxy runs already"},
		"a socket that somebody has":      {"endpoint unix/" + live.Addr().String(), routes, "another process answers there"},
		"a file that is no socket":        {"endpoint unix/" + filepath.Join(dir, "file"), routes, "no socket"},
		"forward endpoint, without one":   {"endpoint off", "session shop {\n forward endpoint\n}\nrespond new", "its app needs the endpoint, which is off"},
		"data that only the endpoint has": {"endpoint off", "session shop {\n max_size 8KiB\n}\nrespond new", "larger data could be read at the endpoint alone"},
		"no data in headers":              {"endpoint off", "session shop {\n inline_limit 0\n}\nrespond new", "its app needs the endpoint, which is off"},
	} {
		if err := caddytest.Load(s.Config(s.Store(s.Dir, "async")+"\n"+c.options, "", c.routes)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		s.Visitor().Expect("/", http.StatusOK, "old")
	}
	if text, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(text) != "precious" {
		t.Errorf("the file became %q, %v", text, err)
	}
	if runtime.OpenEndpoints() != 0 {
		t.Errorf("%d endpoints are left by configurations that failed", runtime.OpenEndpoints())
	}
}

// TestAStaleSocketIsTakenOver: that of a process which has died.
func TestAStaleSocketIsTakenOver(t *testing.T) {
	path := filepath.Join(caddytest.ShortDir(t), "s.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	s := caddytest.NewSite(t)
	s.Load(s.Config(s.Store(s.Dir, "async")+"\nendpoint unix/"+path, "", "session shop\nreverse_proxy "+caddytest.App(t, newAsks(t).ServeHTTP)))
	v := s.Visitor()
	v.Fetch("/begin")
	v.Expect("/", http.StatusOK, readSecret)
}

func TestValidateOpensNoEndpoint(t *testing.T) {
	s := caddytest.NewSite(t)
	endpoint := caddytest.FreeAddress(t)
	if err := caddytest.Validate(s.Config(s.Store(s.Dir, "async")+"\nendpoint "+endpoint, "", "session shop\nrespond x")); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", endpoint); err == nil {
		_ = conn.Close()
		t.Error("it listens")
	}
	if runtime.OpenEndpoints() != 0 {
		t.Errorf("%d endpoints are left", runtime.OpenEndpoints())
	}
}
