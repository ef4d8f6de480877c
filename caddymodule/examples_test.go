package caddymodule_test

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// exampleApp stands for every app of the examples. It tells what session it
// was given.
func exampleApp(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/count"):
		w.Header().Set("Session-Add", `{"n":1}`)
	case strings.HasSuffix(r.URL.Path, "/login"):
		w.Header().Set("Session-Principal", `"alice"`)
		w.Header().Set("Session-Data", `{"role":"staff"}`)
	case strings.HasSuffix(r.URL.Path, "/cookie"):
		w.Header().Set("Set-Cookie", "sid=1; Path=/; HttpOnly")
	}
	_ = json.NewEncoder(w).Encode(r.Header)
}

// fastCGI starts an app that speaks FastCGI, as PHP does, and returns its address.
func fastCGI(t *testing.T, app http.HandlerFunc) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { _ = fcgi.Serve(l, app) }() // until the listener is closed
	return l.Addr().String()
}

// see expects a response of the app, which was given such a session.
func see(v *caddytest.Visitor, path, state, data string, headers ...string) *http.Response {
	v.T.Helper()
	resp, body := v.Fetch(path, headers...)
	var h http.Header
	if resp.StatusCode != http.StatusOK || json.Unmarshal([]byte(body), &h) != nil {
		v.T.Fatalf("%s: %d %s", path, resp.StatusCode, body)
	}
	if h.Get("Session-State") != state || h.Get("Session-Data") != data {
		v.T.Fatalf("%s: the app got state %q and data %s, want %q and %s", path, h.Get("Session-State"), h.Get("Session-Data"), state, data)
	}
	return resp
}

// counts shows that below a path a session is kept, and not believed.
func counts(below string) func(*caddytest.Site) {
	return func(s *caddytest.Site) {
		v := s.Visitor()
		see(v, below+"/count", "new", "{}", "Session-Data", `{"n":41}`, "Session-State", "active")
		see(v, below+"/count", "active", `{"n":1}`)
		see(v, below+"/", "active", `{"n":2}`)
		see(s.Visitor(), below+"/", "new", "{}")
	}
}

// jars shows that below a path the app's cookies are kept in the session.
func jars(below string) func(*caddytest.Site) {
	return func(s *caddytest.Site) {
		v := s.Visitor()
		resp := see(v, below+"/cookie", "new", "")
		for _, c := range resp.Cookies() {
			if !strings.HasSuffix(c.Name, "_ticket") {
				s.T.Errorf("the browser got the cookie %s", c.Name)
			}
		}
		for who, want := range map[*caddytest.Visitor]string{v: "sid=1", s.Visitor(): ""} {
			_, body := who.Fetch(below+"/", "Cookie", "other=1")
			var h http.Header
			if err := json.Unmarshal([]byte(body), &h); err != nil || strings.Join(h["Cookie"], "|") != want {
				s.T.Errorf("the app got the cookies %q, want %q", h["Cookie"], want)
			}
		}
	}
}

// bears shows that below a path the ticket travels as a bearer token.
func bears(below string) func(*caddytest.Site) {
	return func(s *caddytest.Site) {
		resp := see(s.Visitor(), below+"/count", "new", "{}")
		ticket := resp.Header.Get("Session-Ticket")
		if ticket == "" || resp.Header.Get("Set-Cookie") != "" {
			s.T.Fatalf("the ticket comes in %v", resp.Header)
		}
		see(s.Visitor(), below+"/", "active", `{"n":1}`, "Authorization", "Bearer "+ticket)
	}
}

// TestExamplesOfThePagesServe starts each Caddyfile of the pages that users read,
// and sends it requests. Each has to have an entry, by a text that it contains.
func TestExamplesOfThePagesServe(t *testing.T) {
	checks := map[string]func(*caddytest.Site){
		"respond /favicon.ico 404": func(s *caddytest.Site) {
			counts("")(s)
			s.Visitor().Expect("/favicon.ico", http.StatusNotFound, "")
		},
		"session shop\n\treverse_proxy": counts(""),
		"session editor":                counts(""),
		"session planner":               counts(""),
		"session api {\n\t\tlocking": func(s *caddytest.Site) {
			counts("")(s)
			counts("/api")(s)
		},
		"session wizard": func(s *caddytest.Site) {
			counts("")(s)
			v := s.Visitor()
			see(v, "/count", "new", "{}")
			see(v, "/x.css", "active", `{"n":1}`)
		},
		"session blog": func(s *caddytest.Site) {
			counts("/shop")(s)
			counts("/blog")(s)
			v := s.Visitor()
			see(v, "/shop/login", "new", "{}")
			see(v, "/blog/count", "new", "{}")
			see(v, "/shop/", "active", `{"role":"staff"}`)
			see(v, "/blog/", "active", `{"n":1}`)
		},
		"session wiki": jars("/wiki"),
		"session red": func(s *caddytest.Site) {
			jars("/red")(s)
			jars("/blue")(s)
		},
		"remember autologin\n\t\t}\n\t}\n\treverse_proxy": jars(""),
		"adopt PHPSESSID": func(s *caddytest.Site) {
			jars("")(s)
			v := s.Visitor()
			for _, presented := range []string{"old", "planted"} {
				if _, body := v.Fetch("/", "Cookie", "PHPSESSID="+presented); !strings.Contains(body, `"Cookie":["PHPSESSID=old"]`) {
					s.T.Errorf("the app got %s", body)
				}
			}
		},
		"ticket bearer": bears(""),
		"session both": func(s *caddytest.Site) {
			counts("")(s)
			resp := see(s.Visitor(), "/count", "new", "{}", "X-Session", "")
			see(s.Visitor(), "/", "active", `{"n":1}`, "X-Session", resp.Header.Get("X-Session"))
		},
		"@others": func(s *caddytest.Site) {
			v := s.Visitor()
			v.Expect("/admin/users", http.StatusForbidden, "for staff only")
			see(v, "/login", "new", "{}")
			see(v, "/admin/users", "active", `{"role":"staff"}`)
			s.Visitor().Expect("/admin/users", http.StatusForbidden, "for staff only")
		},
		"session @pages": func(s *caddytest.Site) {
			counts("")(s)
			v := s.Visitor()
			see(v, "/count", "new", "{}")
			see(v, "/assets/logo.png", "", "")
		},
		"session downloads": counts(""),
		"lb_policy cookie": func(s *caddytest.Site) {
			counts("")(s)
			v := s.Visitor()
			if first := see(v, "/count", "new", "{}").Header.Values("Set-Cookie"); len(first) != 2 {
				t.Errorf("the first answer sets %q", first)
			}
			_, body := v.Fetch("/")
			if !strings.Contains(body, `"Cookie":["lb=`) || strings.Contains(body, "workshop_ticket") {
				t.Errorf("the app gets %s", body)
			}
		},
		"listener webhook": func(s *caddytest.Site) { see(s.Visitor(), "/", "new", "{}") },
	}
	t.Setenv("LB_SECRET", "pins-visitors")
	t.Setenv("HOOK_SECRET", "whsec_"+base64.StdEncoding.EncodeToString(make([]byte, 32)))
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```caddyfile\nhttp://localhost:8080(?:, http://127\\.0\\.0\\.1:8080)? \\{\n(.*?)\n\\}\n```")
	used := make(map[string]bool)
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		found := blocks.FindAllStringSubmatch(string(text), -1)
		if n := strings.Count(string(text), "```caddyfile\nhttp"); n != len(found) {
			t.Errorf("%s has %d sites, of which %d are understood", page, n, len(found))
		}
		for _, block := range found {
			var known string
			for key := range checks {
				if strings.Contains(block[1], key) {
					if known != "" {
						t.Errorf("both %q and %q fit an example of %s", known, key, page)
					}
					known = key
				}
			}
			if known == "" {
				t.Errorf("no requests are sent to this example of %s:\n%s", page, block[1])
				continue
			}
			used[known] = true
			t.Run(known, func(t *testing.T) {
				s := caddytest.NewSite(t)
				upstream := caddytest.App(t, exampleApp)
				routes := strings.NewReplacer("127.0.0.1:3000", upstream, "127.0.0.1:3001", caddytest.App(t, exampleApp),
					"unix//run/php/php-fpm.sock", fastCGI(t, exampleApp), "/srv/www", t.TempDir(), "/var/lib/shop/uploads", t.TempDir()).Replace(block[1])
				s.Load(s.Config("", "", routes))
				checks[known](s)
			})
		}
	}
	for key := range checks {
		if !used[key] {
			t.Errorf("there is no example with %q", key)
		}
	}
}

// TestCaddyfileExampleServes starts Caddyfile.example, and sends requests to
// each of its routes.
func TestCaddyfileExampleServes(t *testing.T) {
	text, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	s := caddytest.NewSite(t)
	_, port, _ := net.SplitHostPort(s.Address)
	config := regexp.MustCompile(`127\.0\.0\.1:300\d`).ReplaceAllLiteralString(string(text), caddytest.App(t, exampleApp))
	for from, to := range map[string]string{
		"\n{\n":                   "\n{\n\tadmin off\n\tpersist_config off\n\tauto_https off\n\tstorage file_system " + s.Storage + "\n",
		"store badger ./sessions": "store badger " + s.Dir,
		"\t\t\tdurability sync\n": "\t\t\tdurability sync\n\t\t\treserve 1MiB\n",
		"endpoint 127.0.0.1:2020": "endpoint off",
		"http://localhost:8080 {": "http://:" + port + " {\n\tbind 127.0.0.1",
	} {
		if strings.Count(config, from) != 1 {
			t.Fatalf("%q is not there once", from)
		}
		config = strings.Replace(config, from, to, 1)
	}
	s.Load(caddytest.Adapt(t, config))
	counts("/shop")(s)
	counts("/booking")(s)
	bears("/api")(s)

	v := s.Visitor()
	v.Expect("/staff/", http.StatusForbidden, "for staff only")
	see(v, "/shop/login", "new", "{}")
	see(v, "/staff/", "active", `{"role":"staff"}`)
	see(v, "/booking/", "new", "{}")
	v.Expect("/", http.StatusOK, "shop: /shop/  booking: /booking/  api: /api/  wiki: /wiki/")
}
