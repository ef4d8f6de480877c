package handler

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// chainLength is so large that the ways through a chain cannot be walked.
const chainLength = 40

// namedChain returns named routes that each invoke the next one twice.
func namedChain(last string) string {
	var b strings.Builder
	for i := range chainLength {
		fmt.Fprintf(&b, "&(chain-%d) {\nroute {\ninvoke chain-%d\ninvoke chain-%d\n}\n}\n", i, i+1, i+1)
	}
	return fmt.Sprintf("%s&(chain-%d) {\n%s\n}\n", b.String(), chainLength, last)
}

// TestChainOfNamedRoutes loads chains, with a session at the end or before, and
// with an end that leads back into the chain.
func TestChainOfNamedRoutes(t *testing.T) {
	const twice, early = "two session handlers on one request", "is used before any session handler"
	for name, tc := range map[string]struct{ last, routes, refusal string }{
		"matched sessions":          {"session /x/* a", "route {\ninvoke chain-0\nrespond ok\n}", ""},
		"a session that comes back": {"session a", "route {\ninvoke chain-0\nrespond ok\n}", twice},
		"a guard at the end":        {"respond {http.session.principal}", "route {\nsession a\ninvoke chain-0\n}", ""},
		"an unguarded end":          {"respond {http.session.principal}", "route {\ninvoke chain-0\n}", early},
		"a way back":                {"session /x/* a\ninvoke chain-20", "route {\ninvoke chain-0\nrespond ok\n}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			s.Named = namedChain(tc.last)
			err := caddytest.Load(s.Config("", "", tc.routes))
			if tc.refusal == "" && err != nil || tc.refusal != "" && (err == nil || !strings.Contains(err.Error(), tc.refusal)) {
				t.Errorf("got %v, want %q", err, tc.refusal)
			}
		})
	}
}

func TestChainOnErrorRoutes(t *testing.T) {
	named := make(map[string]*caddyhttp.Route)
	for i := range chainLength {
		next := &caddyhttp.Invoke{Name: fmt.Sprint(i + 1)}
		named[fmt.Sprint(i)] = &caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{next, next}}
	}
	end := new(caddyhttp.Route)
	named[fmt.Sprint(chainLength)] = end
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	routes := caddyhttp.RouteList{*named["0"]}
	finds := func() bool {
		return anyRoute(r, &caddyhttp.Server{NamedRoutes: named}, routes, make(map[string]bool))
	}
	if finds() {
		t.Error("a chain without an end has an answer")
	}
	if end.Handlers = []caddyhttp.MiddlewareHandler{new(caddyhttp.StaticResponse)}; !finds() {
		t.Error("the end of the chain is not found")
	}
}
