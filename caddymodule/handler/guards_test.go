package handler

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestGuardsAreClosedToRequestsWithoutASession sends requests that no session
// handler gets through guards that read the session. Each is a stranger's.
func TestGuardsAreClosedToRequestsWithoutASession(t *testing.T) {
	const guard = "@anon expression `{http.session.principal} == \"\"`\nrespond @anon login 401\nrespond secret\n"
	const user = "request_header X-User \"[{http.session.principal}]\"\n"
	for name, tc := range map[string]struct {
		routes, from, to string // to replaces from in the JSON
		status           int
		body             string
	}{
		"after a block with a session":   {"route /app/* {\nsession shop\n}\n" + guard, "", "", 401, "login"},
		"by the matcher of the session":  {"session /app/* shop\n" + guard, "", "", 401, "login"},
		"in the first of matched routes": {"session /app/* shop\n" + guard, `"match":[{"path":["/app/*"]}]`, `"match":[{"path":["/app/*"]},{"path":["/b/*"]}]`, 401, "login"},
		"by variables":                   {"route {\nroute /app/* {\nsession shop\n}\n@anon vars {http.session.principal} \"\"\nrespond @anon login 401\nrespond secret\n}", "", "", 401, "login"},
		"negated":                        {"route /app/* {\nsession shop\n}\n@in not expression `{http.session.principal} == \"\"`\nrespond @in secret\nrespond login 401", "", "", 401, "login"},
		"in a named route":               {"handle /app/* {\nsession shop\ninvoke guard\n}\nhandle {\ninvoke guard\n}", "", "", 401, "login"},
		"as a header":                    {"route {\nroute /app/* {\nsession shop\n}\n" + user + "reverse_proxy APP\n}", "", "", 200, "[]"},
		"as a header, in a named route":  {"handle /app/* {\nsession shop\ninvoke api\n}\nhandle {\ninvoke api\n}", "", "", 200, "[]"},
		"on an error route":              {"handle /app/* {\nsession shop\n}\nhandle {\nerror 404\n}\nhandle_errors {\n" + guard + "}", "", "", 401, "login"},
		"on an error route, before":      {"route {\nerror 404\nsession shop\n}\nhandle_errors {\n" + guard + "}", "", "", 401, "login"},
		"as a header on an error route":  {"handle /app/* {\nsession shop\n}\nhandle {\nerror 404\n}\nhandle_errors {\n" + user + "reverse_proxy APP\n}", "", "", 200, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			app := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Header.Get("X-User"))) })
			s.Named = "&(guard) {\n" + guard + "}\n&(api) {\nhandle {\n" + user + "reverse_proxy " + app + "\n}\n}"
			config := string(s.Config("", "", strings.ReplaceAll(tc.routes, "APP", app)))
			if !strings.Contains(config, tc.from) {
				t.Fatalf("no %s in %s", tc.from, config)
			}
			if tc.from != "" {
				config = strings.Replace(config, tc.from, tc.to, 1)
			}
			s.Load([]byte(config))
			v := s.Visitor()
			if resp, body := v.Fetch("/x", "X-User", "mallory"); body != tc.body || resp.StatusCode != tc.status {
				t.Errorf("%d %q, want %d %q", resp.StatusCode, body, tc.status, tc.body)
			}
		})
	}
}

// TestComparisonsOfWhatIsNotThere asks for a number, with and without one in
// the data, by the form that the documentation gives.
func TestComparisonsOfWhatIsNotThere(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", `
	session shop
	handle /set/* {
		reverse_proxy `+caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Session-Patch", `{"age":`+strings.TrimPrefix(r.URL.Path, "/set/")+`}`)
	})+`
	}
	@adult expression `+"`"+`{http.session.data.age} != "" && {http.session.data.age} >= 18`+"`"+`
	@minor expression `+"`"+`{http.session.data.age} == "" || {http.session.data.age} < 18`+"`"+`
	handle /minor {
		respond @minor minor 403
		respond adult
	}
	respond @adult adult
	respond minor 403`))
	v := s.Visitor()
	expect := func(set string, adult bool) {
		t.Helper()
		if set != "" {
			v.Fetch("/set/" + set)
		}
		status, body := http.StatusForbidden, "minor"
		if adult {
			status, body = http.StatusOK, "adult"
		}
		v.Expect("/", status, body)
		v.Expect("/minor", status, body)
	}
	expect("", false)
	expect("17", false)
	expect("18", true)
	expect("18.5", true)
	expect("null", false)
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

// TestGatewaysGetNoSession puts forward_auth after the session: at the same
// level, in a block, above the session's block, and in named routes, which Caddy
// provisions in any order. The gateway sees none of the session's headers, and
// the app behind it sees all of them.
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
		order  bool // it depends on chance which of the named routes comes first
	}{
		"in a named route":          {"session a\ninvoke gate\nreverse_proxy APP", false, false},
		"in one that others invoke": {"session a\ninvoke outer\nreverse_proxy APP", false, false},
		"in one after a named one":  {"invoke before\nreverse_proxy APP", false, true},
		"in an error route":         {"error 404\nhandle_errors {\nsession a\nforward_auth GATE {\nuri /auth\n}\nreverse_proxy APP\n}", false, false},
		"invoked in a route":        {"route {\nsession a\ninvoke gate\nreverse_proxy APP\n}", true, false},
		"at one level":              {"session a\nforward_auth GATE {\nuri /auth\ncopy_headers X-User\n}\nreverse_proxy APP", false, false},
		"in a block":                {"session a\nhandle {\nforward_auth GATE {\nuri /auth\n}\nreverse_proxy APP\n}", false, false},
		"with a matcher":            {"session /x/* a\nforward_auth /x/* GATE {\nuri /auth\n}\nreverse_proxy APP", false, false},
		"in a route":                {"route {\nsession a\nforward_auth GATE {\nuri /auth\n}\nreverse_proxy APP\n}", true, false},
		"on purpose":                {"session a\nforward_auth GATE {\nuri /auth\nheader_up Session-Id {http.session.id}\n}\nreverse_proxy APP", true, false},
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
			apps := strings.NewReplacer("GATE", gate, "APP", behind)
			s.Named = apps.Replace("&(gate) {\nforward_auth GATE {\nuri /auth\n}\n}\n&(outer) {\ninvoke gate\n}\n&(before) {\nhandle {\nsession a\ninvoke outer\n}\n}")
			config := s.Config("", "", apps.Replace(tc.routes))
			for load := 1; load == 1 || tc.order && load <= 10; load++ {
				s.Load(config)
				if resp, _ := s.Visitor().Fetch("/x/y"); resp.StatusCode >= 500 || asked != load {
					t.Fatalf("%d, the gateway was asked %d times in %d", resp.StatusCode, asked, load)
				}
			}
		})
	}
}
