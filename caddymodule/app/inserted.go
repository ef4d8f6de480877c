package app

import (
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
)

// insertedModule is a handler or matcher that no configuration has.
type insertedModule interface{ IsInserted() }

// IsGuarded reports whether a session handler has put a matcher into the first
// route of a server, so that the session's placeholders are known to each of
// its requests.
func IsGuarded(routes caddyhttp.RouteList) bool {
	if len(routes) == 0 || len(routes[0].MatcherSets) == 0 || len(routes[0].MatcherSets[0]) == 0 {
		return false
	}
	_, ok := routes[0].MatcherSets[0][0].(insertedModule)
	return ok
}

// inserted reports whether the configuration does not have the route, but a
// session handler has added it.
func inserted(route caddyhttp.Route) bool {
	if len(route.Handlers) != 1 {
		return false
	}
	switch h := route.Handlers[0].(type) {
	case insertedModule:
		return true
	case *reverseproxy.CopyResponseHeadersHandler:
		return slices.Equal(h.Include, sessionproxy.WriteHeaders())
	}
	return false
}

// isInserted reports whether a set of matchers has one that was inserted, and no other.
func isInserted(set caddyhttp.MatcherSet) bool {
	if len(set) != 1 {
		return false
	}
	_, ok := set[0].(insertedModule)
	return ok
}
