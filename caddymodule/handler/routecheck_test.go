package handler

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// namedRoutes are those that the routes of TestRoutesThatCannotWorkAreRefused invoke.
const namedRoutes = `
&(named-b) {
	session b
	respond /b b
}
&(guard) {
	@anon expression {http.session.principal} == ""
	redir @anon /login
}
&(endless) {
	respond /x x
	invoke endless
}
&(endless-b) {
	session /b b
	invoke endless-b
	invoke named-b
}
&(ring-a) {
	route {
		invoke ring
		session a
	}
}
&(ring) {
	invoke ring-a
}
`

// wrapper is another module's handler that has routes.
type wrapper struct {
	Wrapped caddyhttp.RouteList `json:"wrapped,omitempty"`
}

func init() { caddy.RegisterModule(new(wrapper)) }

func (*wrapper) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.wrapper", New: func() caddy.Module { return new(wrapper) }}
}

func (h *wrapper) Provision(ctx caddy.Context) error { return h.Wrapped.Provision(ctx) }

func (h *wrapper) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return h.Wrapped.Compile(next).ServeHTTP(w, r)
}

// TestRoutesThatCannotWorkAreRefused loads configurations in which each
// request of a kind would fail, and their neighbours, in which none has to.
func TestRoutesThatCannotWorkAreRefused(t *testing.T) {
	const two, early, late = "two session handlers on one request", "is used before any session handler", "session a stands after reverse_proxy"
	const unmet = "where requests come that met no session handler"
	for name, tc := range map[string]struct{ routes, refusal string }{
		"two in a row":               {"route {\nsession a\nrespond session-b\nrespond ok\n}", two},
		"one below the other":        {"route {\nsession a\nroute /admin/* {\nrespond session-b\nrespond admin\n}\nrespond ok\n}", two},
		"one above all":              {"route {\nsession /x/* a\nroute {\nrespond session-b\nrespond ok\n}\n}", two},
		"below a matched route":      {"route /x/* {\nsession a\nroute /x/y {\nrespond session-b\n}\nrespond ok\n}", two},
		"in the answer of a gateway": {"route {\nsession a\nreverse_proxy 127.0.0.1:1 {\n@e status 401\nhandle_response @e {\nrespond session-b\nrespond no\n}\n}\n}", two},
		"two on an error route":      {"session a\nerror 404\nhandle_errors {\nsession a\nrespond session-b\nrespond e\n}", two},
		"named, after another":       {"handle /x/* {\ninvoke named-b\n}\nhandle {\nroute {\nsession a\ninvoke named-b\n}\n}", two},
		"named, after a proxy":       {"handle /x/* {\ninvoke named-b\n}\nhandle {\nroute {\nreverse_proxy 127.0.0.1:1\ninvoke named-b\n}\n}", "session b stands after reverse_proxy"},
		"named, beside another":      {"handle /x/* {\nroute {\nsession /x/1 c\nroute /x/2 {\ninvoke named-b\n}\n}\n}\nhandle {\nroute {\nsession /y/1 c\ninvoke named-b\n}\n}", two},
		"named, after and before":    {"handle /x/* {\nroute {\ninvoke named-b\ninvoke guard\n}\n}\nhandle {\ninvoke guard\n}", early},
		"a ring, entered twice":      {"handle /x/* {\ninvoke ring-a\n}\nhandle {\nroute {\ninvoke ring\nsession c\n}\n}", two},
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
		"a negated guard":               {"@in not expression `{http.session.principal} == \"\"`\nrespond @in in\nrespond out", early},
		"in another module's routes":    {"respond wrapped-guard", early},

		"one invoked below another":         {"session a\nroute {\ninvoke named-b\nrespond ok\n}", two},
		"one invoked twice":                 {"route {\ninvoke named-b\ninvoke named-b\nrespond ok\n}", two},
		"invoked side by side":              {"handle /a/* {\ninvoke named-b\n}\nhandle {\ninvoke named-b\n}", ""},
		"invoked behind the app":            {"route {\nreverse_proxy 127.0.0.1:1\ninvoke named-b\n}", "session b stands after reverse_proxy"},
		"invoked without end":               {"invoke endless\nrespond ok", ""},
		"invoked below itself":              {"session a\ninvoke endless-b\nrespond ok", two},
		"an invoked guard":                  {"invoke guard\nrespond ok", early},
		"an invoked guard after it":         {"session a\ninvoke guard\nrespond ok", ""},
		"a guard after an invoked one":      {"route {\ninvoke named-b\n@anon expression {http.session.principal} == \"\"\nredir @anon /login\nrespond ok\n}", ""},
		"a guard that only some invoke for": {"route {\nroute /app/* {\ninvoke named-b\n}\n@anon expression {http.session.principal} == \"\"\nredir @anon /login\nrespond ok\n}", unmet},
		"invoked, and on an error route":    {"invoke named-b\nhandle_errors {\nrespond {http.session.principal}\n}\nrespond ok", unmet},
	} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			s.Named = namedRoutes
			routes := tc.routes
			if strings.Contains(name, "without one") { // the app is there for another site
				routes += "\nhandle /other {\nsession other\n}"
			}
			// In text two sessions are refused before they are loaded.
			config := strings.ReplaceAll(string(s.Config("", "", routes)), `{"body":"session-b","handler":"static_response"}`, `{"handler":"session","manager":"b"}`)
			config = strings.ReplaceAll(config, `{"body":"wrapped-guard","handler":"static_response"}`, `{"handler":"wrapper","wrapped":[{"match":[{"expression":"{http.session.new} == true"}]}]}`)
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
	found := regexp.MustCompile(`apps/http/[\w/-]+`).FindAllString(text, -1)
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
