package redis_test

import (
	"net/http"
	"strings"
	"testing"

	_ "github.com/sessionproxy/sessionproxy/caddymodule"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	_ "github.com/sessionproxy/sessionproxy/caddymodule/stores/redis"
	"github.com/sessionproxy/sessionproxy/internal/redistest"
)

func TestMain(m *testing.M) { caddytest.Main(m) }

func TestAdapt(t *testing.T) { caddytest.Golden(t) }

// TestRedis keeps a session over a reload and over a restart, and loads the
// options of a store that is open as they are.
func TestRedis(t *testing.T) {
	srv := redistest.New(t, "--requirepass", "right")
	t.Setenv("REDIS", srv.Address)
	t.Setenv("REDIS_PASSWORD", "right")
	s := caddytest.NewSite(t)
	routes := "session shop\nreverse_proxy " + caddytest.App(t, caddytest.Counter)
	const line = "store redis {env.REDIS} {\n password {env.REDIS_PASSWORD}\n prefix test\n timeout 10s\n}"
	config := s.Config(line, "", routes)
	s.Load(config)
	v := s.Visitor()
	v.Expect("/", http.StatusOK, "")
	v.Expect("/", http.StatusOK, "")
	s.Load(s.Config(line+"\nsweep_interval 20s", "", routes))
	if n := v.Data("visits"); n != 2 {
		t.Errorf("%d visits after a reload, want 2", n)
	}
	err := caddytest.Load(s.Config(strings.Replace(line, "10s", "9s", 1), "", routes))
	if err == nil || !strings.Contains(err.Error(), "changing timeout of the session store redis:"+srv.Address+"/0:test is impossible while it is open") {
		t.Errorf("got %v", err)
	}
	s.Stop()
	s.Load(config)
	if n := v.Data("visits"); n != 2 {
		t.Errorf("%d visits after a restart, want 2", n)
	}
}

// TestTLS uses a server whose certificate the configuration names.
func TestTLS(t *testing.T) {
	srv, authority := redistest.NewTLS(t)
	s := caddytest.NewSite(t)
	t.Setenv("REDIS_CA", authority)
	routes := "session shop\nreverse_proxy " + caddytest.App(t, caddytest.Counter)
	s.Load(s.Config("store redis "+srv.Address+" {\n tls_ca {env.REDIS_CA}\n}", "", routes))
	v := s.Visitor()
	v.Expect("/", http.StatusOK, "")
	if n := v.Data("visits"); n != 1 {
		t.Errorf("%d visits, want 1", n)
	}
	s.Stop()
	for line, want := range map[string]string{
		"tls":                        "certificate",
		"tls_ca /does/not/exist":     "reading tls_ca",
		"tls_ca " + srv.Dir + "/log": "has no certificate in PEM",
	} {
		err := caddytest.Load(s.Config("store redis "+srv.Address+" {\n "+line+"\n}", "", routes))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
}

// TestRefused: what the module refuses, and that it tells no secret.
func TestRefused(t *testing.T) {
	srv := redistest.New(t, "--requirepass", "right")
	t.Setenv("REDIS_PASSWORD", "very-wrong")
	s := caddytest.NewSite(t)
	for name, c := range map[string]struct{ line, want string }{
		"no port":              {"store redis localhost", `the address "localhost" is not host:port`},
		"an empty placeholder": {"store redis {env.NO_REDIS}", "{env.NO_REDIS} is empty"},
		"a bad prefix":         {"store redis a:1 {\n prefix a:b\n}", "other characters"},
		"a username alone":     {"store redis a:1 {\n username u\n}", "username without a password"},
		"a wrong password":     {"store redis " + srv.Address + " {\n password {env.REDIS_PASSWORD}\n}", "WRONGPASS"},
	} {
		t.Run(name, func(t *testing.T) {
			err := caddytest.Load(s.Config(c.line, "", "session shop\nrespond ok"))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "very-wrong") {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}
