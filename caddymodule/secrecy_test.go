package caddymodule_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestLogsHoldNoSecrets writes all of Caddy's logs to files and looks for
// what must not be there: tickets and data, in good requests and in bad ones.
func TestLogsHoldNoSecrets(t *testing.T) {
	s := caddytest.NewSite(t)
	dir := t.TempDir()
	global := "log {\n output file " + filepath.Join(dir, "default.log") + "\n level INFO\n}"
	routes := `
	log {
		output file ` + filepath.Join(dir, "access.log") + `
	}
	session shop
	handle /broken {
		reverse_proxy ` + caddytest.App(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Session-Patch", `{"pin":"datasecret2"`)
	}) + `
	}
	handle /destroy {
		reverse_proxy ` + caddytest.App(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Session-Action", "destroy")
	}) + `
	}
	reverse_proxy ` + caddytest.App(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Session-Patch", `{"pin":"datasecret1"}`)
		w.Header().Set("Session-Principal", `"alicesecret"`)
	})
	s.Load(s.Config(s.Store(s.Dir, "async")+"\naudit", global, routes))
	v := s.Visitor()
	v.Fetch("/")
	base, err := url.Parse(v.Base)
	if err != nil {
		t.Fatal(err)
	}
	tickets := []string{v.Jar.Cookies(base)[0].Value}
	v.Fetch("/") // signs in again, with another ticket
	tickets = append(tickets, v.Jar.Cookies(base)[0].Value)
	v.Fetch("/broken")
	v.Fetch("/", "Cookie", "shop_ticket="+tickets[0]+"x")
	v.Fetch("/destroy")
	for range 2 { // by the name of another machine: so far it was this one
		s.Raw("GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
	}
	s.Stop()

	access, all := "", ""
	for _, name := range []string{"access.log", "default.log"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if all += string(text); name == "access.log" {
			access = string(text)
		}
	}
	for _, secret := range append(tickets, "datasecret1", "datasecret2", "alicesecret") {
		if strings.Contains(all, secret) {
			t.Errorf("a log holds %s", secret)
		}
	}
	if n := strings.Count(access, `"session_id":"`); n != 7 {
		t.Errorf("%d of 7 lines of the access log name the session", n)
	}
	if !strings.Contains(all, "urn:sessionproxy:bad-write") {
		t.Error("the app's malformed write is not in the log")
	}
	if !strings.Contains(all, `"event":"session_refused"`) {
		t.Error("the bad ticket is not in the audit records")
	}
	if strings.Count(all, "travel over clear HTTP") != 1 {
		t.Errorf("%d warnings about clear HTTP, want 1", strings.Count(all, "travel over clear HTTP"))
	}
}

// TestTheExampleKeepsDataOutOfCaddysLogs has Caddy log all that it can, with
// the filter of Caddyfile.example, and without it to see that it matters.
func TestTheExampleKeepsDataOutOfCaddysLogs(t *testing.T) {
	example, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(example), "\tlog {\n")
	filter, _, ok := strings.Cut(rest, "\n\t}\n")
	if !ok {
		t.Fatal("Caddyfile.example has no log block")
	}
	for name, c := range map[string]struct {
		format string
		holds  bool
	}{
		"with the filter": {filter, false},
		"without":         {"", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			file := filepath.Join(t.TempDir(), "log")
			global := "log {\n output file " + file + "\n level DEBUG\n" + c.format + "\n}"
			s.Load(s.Config("", global, "session shop\nreverse_proxy "+caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Session-Data", `{"pin":"datasecret0"}`)
				w.Header().Set("Session-Patch", `{"pin":"datasecret1"}`)
				w.Header().Set("Session-Principal", `"alicesecret"`)
				if r.URL.Path == "/broken" {
					w.Header().Set("Content-Length", "100") // and half a body
					w.WriteHeader(http.StatusOK)
					_, _ = w.Write([]byte("half"))
					_ = http.NewResponseController(w).Flush()
					panic(http.ErrAbortHandler)
				}
			})))
			v := s.Visitor()
			v.Fetch("/")
			v.Fetch("/")
			r, err := http.NewRequest(http.MethodGet, v.Base+"/broken", nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := v.Do(r); err == nil {
				_ = resp.Body.Close()
			}
			s.Stop()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), "aborting with incomplete response") {
				t.Error("Caddy does not log the broken upstream any more: the advice is outdated")
			}
			for _, secret := range []string{"datasecret0", "datasecret1", "alicesecret"} {
				if strings.Contains(string(text), secret) != c.holds {
					t.Errorf("a log holds %s: %v, want %v", secret, !c.holds, c.holds)
				}
			}
		})
	}
}

func TestSecureBehindATrustedProxy(t *testing.T) {
	for name, c := range map[string]struct {
		global, proto, want string
	}{
		"trusted, https":     {"servers {\n trusted_proxies static 127.0.0.0/8\n}", "https", "__Host-shop_ticket"},
		"trusted, two hops":  {"servers {\n trusted_proxies static 127.0.0.0/8\n}", "https, http", "__Host-shop_ticket"},
		"trusted, http":      {"servers {\n trusted_proxies static 127.0.0.0/8\n}", "http", "shop_ticket"},
		"not trusted, https": {"", "https", "shop_ticket"},
	} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			s.Load(s.Config("", c.global, "session shop\nreverse_proxy "+caddytest.App(t, caddytest.Counter)))
			resp, _ := s.Visitor().Fetch("/", "X-Forwarded-Proto", c.proto)
			cookies := resp.Cookies()
			if len(cookies) != 1 || cookies[0].Name != c.want || cookies[0].Secure != strings.HasPrefix(c.want, "__") ||
				!cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode {
				t.Errorf("cookies %v", resp.Header.Values("Set-Cookie"))
			}
		})
	}
}
