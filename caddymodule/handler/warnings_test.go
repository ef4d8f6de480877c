package handler

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

// TestASecureCookieOnClearHTTPIsWarnedOf loads sites whose cookie browsers
// drop, and their neighbours.
func TestASecureCookieOnClearHTTPIsWarnedOf(t *testing.T) {
	for name, tc := range map[string]struct {
		global, host, secure string
		warned               bool
	}{
		"any host":             {"", "", "always", true},
		"a name":               {"", "shop.example", "always", true},
		"localhost":            {"", "localhost", "always", false},
		"below localhost":      {"", "shop.localhost", "always", false},
		"auto":                 {"", "shop.example", "auto", false},
		"in a named route":     {"", "", "always", true},
		"behind another proxy": {"servers {\ntrusted_proxies static 127.0.0.1\n}", "shop.example", "always", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			logs := filepath.Join(t.TempDir(), "log")
			routes := "session shop {\nticket cookie {\nsecure " + tc.secure + "\n}\n}\nrespond ok"
			if name == "in a named route" {
				s.Named, routes = "&(named) {\nroute {\n"+routes+"\n}\n}", "invoke named"
			}
			config := string(s.Config("", tc.global+"\nlog {\n output file "+logs+"\n}", routes))
			if tc.host != "" {
				config = strings.Replace(config, `"routes":[{"handle"`, `"routes":[{"match":[{"host":["`+tc.host+`"]}],"handle"`, 1)
				if !strings.Contains(config, tc.host) {
					t.Fatal("the host is nowhere", config)
				}
			}
			s.Load([]byte(config))
			s.Stop()
			text, err := os.ReadFile(logs)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(string(text), "browsers drop the session cookie"); got != tc.warned {
				t.Errorf("warned: %v\n%s", got, text)
			}
		})
	}
}

// TestTicketsOfAnotherKeyAreWarnedOfOnce sends tickets that another proxy on
// this host name would have issued.
func TestTicketsOfAnotherKeyAreWarnedOfOnce(t *testing.T) {
	for session, want := range map[string]string{
		"session shop":                  "another proxy on this host name",
		"session shop {\n bind host\n}": "signed for another host",
	} {
		s := caddytest.NewSite(t)
		logs := filepath.Join(t.TempDir(), "log")
		s.Load(s.Config("", "log {\n output file "+logs+"\n}", session+"\nrespond ok"))
		foreign, err := ticket.NewRing(ticket.NewKey())
		if err != nil {
			t.Fatal(err)
		}
		var sent string
		for range 3 {
			sent = foreign.Sign("shop", ticket.New())
			if resp, body := s.Visitor().Fetch("/", "Cookie", "shop_ticket="+sent); resp.StatusCode != http.StatusOK || body != "ok" {
				t.Fatalf("%d %s", resp.StatusCode, body)
			}
		}
		s.Stop()
		text, err := os.ReadFile(logs)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), want); n != 1 {
			t.Errorf("warned %d times\n%s", n, text)
		}
		if strings.Contains(string(text), sent) {
			t.Error("the log shows a ticket")
		}
	}
}

// TestStoredDataAboveTheLimitIsWarnedOfOnce lowers the limit below what a
// session holds already.
func TestStoredDataAboveTheLimitIsWarnedOfOnce(t *testing.T) {
	s := caddytest.NewSite(t)
	logs := filepath.Join(t.TempDir(), "log")
	secret := strings.Repeat("s3cret", 1000)
	upstream := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
		switch _, there := r.Header["Session-Data"]; {
		case r.URL.Path == "/begin":
			w.Header().Set("Session-Data", `{"a":"`+secret+`"}`)
		case r.URL.Path == "/shrink":
			w.Header().Set("Session-Patch", `{"a":null}`)
		case !there:
			http.Error(w, "no Session-Data", http.StatusInternalServerError)
		}
	})
	load := func(options string) {
		s.Load(s.Config("", "log {\n output file "+logs+"\n}", "session shop {\n"+options+"\n}\nreverse_proxy "+upstream))
	}
	load("inline_limit 8KiB")
	v := s.Visitor()
	v.Expect("/begin", http.StatusOK, "")
	v.Expect("/", http.StatusOK, "")
	load("")
	for range 3 {
		v.Expect("/", http.StatusInternalServerError, "no Session-Data\n")
	}
	v.Expect("/shrink", http.StatusOK, "")
	v.Expect("/", http.StatusOK, "")
	s.Stop()
	text, err := os.ReadFile(logs)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "caddy_sessions_withheld_data_total"); n != 1 {
		t.Errorf("warned %d times\n%s", n, text)
	}
	if strings.Contains(string(text), "s3cret") {
		t.Error("the log shows data")
	}
}
