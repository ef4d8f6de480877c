package handler

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestRoutesThatCannotWorkAreRefused loads configurations in which each
// request of a kind would fail, and their neighbours, in which none has to.
func TestRoutesThatCannotWorkAreRefused(t *testing.T) {
	const two, early, late = "two session handlers on one request", "is used before any session handler", "session a stands after reverse_proxy"
	for name, tc := range map[string]struct{ routes, refusal string }{
		"two in a row":               {"route {\nsession a\nrespond session-b\nrespond ok\n}", two},
		"one below the other":        {"route {\nsession a\nroute /admin/* {\nrespond session-b\nrespond admin\n}\nrespond ok\n}", two},
		"one above all":              {"route {\nsession /x/* a\nroute {\nrespond session-b\nrespond ok\n}\n}", two},
		"below a matched route":      {"route /x/* {\nsession a\nroute /x/y {\nrespond session-b\n}\nrespond ok\n}", two},
		"in the answer of a gateway": {"route {\nsession a\nreverse_proxy 127.0.0.1:1 {\n@e status 401\nhandle_response @e {\nrespond session-b\nrespond no\n}\n}\n}", two},
		"two on an error route":      {"session a\nerror 404\nhandle_errors {\nsession a\nrespond session-b\nrespond e\n}", two},
		"side by side":               {"handle /a/* {\nsession a\nrespond a\n}\nhandle /b/* {\nsession b\nrespond b\n}\nhandle {\nsession c\nrespond c\n}", ""},
		"by matchers":                {"@a path /a/*\n@b path /b/*\nsession @a a\nsession @b b\nrespond ok", ""},
		"with off":                   {"session a\nhandle /x {\nsession off\nrespond x\n}\nrespond ok", ""},
		"on an error route":          {"session a\nerror 404\nhandle_errors {\nsession b\nrespond e\n}", ""},

		"behind the app":               {"route {\nreverse_proxy 127.0.0.1:1\nsession a\n}", late},
		"behind the app of a path":     {"route /x/* {\nreverse_proxy 127.0.0.1:1\nroute {\nsession a\n}\n}", late},
		"behind another path's app":    {"route {\nreverse_proxy /api/* 127.0.0.1:1\nsession a\nreverse_proxy 127.0.0.1:1\n}", ""},
		"behind a gateway":             {"route {\nforward_auth 127.0.0.1:1 {\nuri /auth\n}\nsession a\nreverse_proxy 127.0.0.1:1\n}", ""},
		"on an error route of the app": {"reverse_proxy 127.0.0.1:1\nhandle_errors {\nsession a\nrespond e\n}\nhandle /never {\nsession b\n}", ""},

		"a guard before it":             {"route {\n@anon expression {http.session.principal} == \"\"\nredir @anon /login\nsession a\nrespond ok\n}", early},
		"a header before it":            {"route {\nrequest_header X-User {http.session.principal}\nsession a\nrespond ok\n}", early},
		"in a handler of a gateway":     {"route {\nreverse_proxy /x 127.0.0.1:1 {\nheader_up X-User {http.session.principal}\n}\nsession a\nrespond ok\n}", early},
		"a guard on a site without one": {"@anon expression {http.session.principal} == \"\"\nredir @anon /login\nrespond ok", early},
		"a guard after it":              {"session a\n@anon expression {http.session.principal} == \"\"\nredir @anon /login\nrespond ok", ""},
		"after one with a matcher":      {"session /app/* a\n@anon expression {http.session.principal} == \"\"\nredir @anon /login\nrespond ok", ""},
		"on an error route, after all":  {"session a\nhandle_errors {\nrespond {http.session.problem}\n}\nrespond ok", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			routes := tc.routes
			if strings.Contains(name, "without one") { // the app is there for another site
				routes += "\nhandle /other {\nsession other\n}"
			}
			// In text two sessions are refused before they are loaded.
			config := strings.ReplaceAll(string(s.Config("", "", routes)), `{"body":"session-b","handler":"static_response"}`, `{"handler":"session","manager":"b"}`)
			err := caddytest.Load([]byte(config))
			switch {
			case tc.refusal == "" && err != nil:
				t.Fatalf("refused: %v", err)
			case tc.refusal != "" && (err == nil || !strings.Contains(err.Error(), tc.refusal)):
				t.Fatalf("not refused: %v", err)
			case tc.refusal != "":
				standsInConfig(s, config, err.Error(), map[bool]int{true: 2, false: 1}[tc.refusal == two])
			}
		})
	}
}

// standsInConfig follows each path that an error names, down from the top of a configuration.
func standsInConfig(s *caddytest.Site, config, text string, places int) {
	s.T.Helper()
	found := regexp.MustCompile(`apps/http/[\w/]+`).FindAllString(text, -1)
	if len(found) != places {
		s.T.Errorf("%d places, want %d: %s", len(found), places, text)
	}
	for _, path := range found {
		var at any
		if err := json.Unmarshal([]byte(config), &at); err != nil {
			s.T.Fatal(err)
		}
		for name := range strings.SplitSeq(path, "/") {
			switch v := at.(type) {
			case map[string]any:
				at = v[name]
			case []any:
				at = nil
				if i, err := strconv.Atoi(name); err == nil && i < len(v) {
					at = v[i]
				}
			}
		}
		if at == nil {
			s.T.Errorf("nothing is at %s", path)
		}
	}
}

// TestGuardsTakeStrangersForStrangers sends the requests of a visitor who is
// not signed in, and of one who is, through guards of the usual kinds.
func TestGuardsTakeStrangersForStrangers(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", `
	@app not path /public/*
	session @app shop
	@anon {
		not path /login /public/*
		expression {http.session.principal} == ""
	}
	redir @anon /login
	request_header X-User {http.session.principal}
	header X-Who "[{http.session.principal}]"
	handle /login {
		reverse_proxy `+caddytest.App(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Session-Principal", `"alice"`)
		w.Header().Set("Session-Data", `{"age":18,"admin":true,"plan":"gold","score":2.5}`)
	})+`
	}
	@adult expression {http.session.data.age} >= 18 && {http.session.data.score} < 3.0
	@admin expression {http.session.data.admin} == true
	@staff expression {http.session.data.role} == "staff"
	@fresh expression {http.session.new} == true && {http.session.state} == "new"
	handle /adult {
		respond @adult yes
		respond no 403
	}
	handle /admin {
		respond @admin yes
		respond no 403
	}
	handle /staff {
		respond @staff yes
		respond no 403
	}
	handle /public/* {
		respond @fresh "stranger{http.session.principal}{http.session.data.age}"
		respond "somebody" 403
	}
	reverse_proxy `+caddytest.App(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Header.Get("X-User"))) })))
	v := s.Visitor()
	v.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if resp, body := v.Fetch("/account", "X-User", "mallory"); resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "/login" {
		t.Fatalf("a stranger got %d %s", resp.StatusCode, body)
	}
	v.Expect("/public/x", http.StatusOK, "stranger")
	v.Fetch("/login")
	if resp := v.Expect("/account", http.StatusOK, "alice"); resp.Header.Get("X-Who") != "[alice]" {
		t.Errorf("X-Who: %q", resp.Header.Get("X-Who"))
	}
	v.Expect("/adult", http.StatusOK, "yes")
	v.Expect("/admin", http.StatusOK, "yes")
	v.Expect("/staff", http.StatusForbidden, "no")
	v.Expect("/public/x", http.StatusOK, "stranger")
}

// TestGatewaysGetNoSession puts forward_auth after the session, at the same
// level, in a block and above the session's block. The gateway sees none of the
// session's headers, and the app behind it sees all of them.
func TestGatewaysGetNoSession(t *testing.T) {
	names := func(h http.Header) (all []string) {
		for name := range h {
			if strings.HasPrefix(name, "Session-") {
				all = append(all, name)
			}
		}
		return all
	}
	for name, tc := range map[string]struct {
		routes string
		seen   bool
	}{
		"at one level":   {"session a\nforward_auth GATE {\nuri /auth\ncopy_headers X-User\n}\nreverse_proxy APP", false},
		"in a block":     {"session a\nhandle {\nforward_auth GATE {\nuri /auth\n}\nreverse_proxy APP\n}", false},
		"with a matcher": {"session /x/* a\nforward_auth /x/* GATE {\nuri /auth\n}\nreverse_proxy APP", false},
		"in a route":     {"route {\nsession a\nforward_auth GATE {\nuri /auth\n}\nreverse_proxy APP\n}", true},
		"on purpose":     {"session a\nforward_auth GATE {\nuri /auth\nheader_up Session-Id {http.session.id}\n}\nreverse_proxy APP", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			asked := 0
			gate := caddytest.App(t, func(_ http.ResponseWriter, r *http.Request) {
				asked++
				if got := names(r.Header); (len(got) > 0) != tc.seen {
					t.Errorf("the gateway got %v", got)
				}
			})
			behind := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
				if len(names(r.Header)) != 4 {
					t.Errorf("the app got %v", names(r.Header))
				}
			})
			s.Load(s.Config("", "", strings.NewReplacer("GATE", gate, "APP", behind).Replace(tc.routes)))
			if resp, _ := s.Visitor().Fetch("/x/y"); resp.StatusCode != http.StatusOK || asked != 1 {
				t.Fatalf("%d, the gateway was asked %d times", resp.StatusCode, asked)
			}
		})
	}
}
