package app

import (
	"net"
	"reflect"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// warnOfSecure tells of managers whose cookie is `secure always` on a server
// that speaks clear HTTP: browsers drop such a cookie, except on localhost. A
// server with trusted proxies may have one before it that speaks TLS.
func (a *App) warnOfSecure(name string, server *caddyhttp.Server) {
	if len(server.TLSConnPolicies) > 0 || trustsProxies(server) {
		return
	}
	for _, route := range server.Routes {
		if onlyLocal(route) {
			continue
		}
		for _, h := range sessionHandlers(server, route) {
			if manager, ok := h.Opens(); ok && h.SecureAlways() {
				a.logger.Warn("browsers drop the session cookie: it is `secure always`, and this server speaks clear HTTP; "+
					"serve the site by HTTPS, set trusted_proxies if a proxy before it does, or remove `secure always`",
					zap.String("manager", manager), zap.String("server", name))
			}
		}
	}
}

// trustsProxies reports whether trusted_proxies is set. Caddy forgets the text
// of the option when it has loaded it, and keeps the rest in an unexported
// field: should a version of Caddy move it, there is a warning too many.
func trustsProxies(server *caddyhttp.Server) bool {
	source := reflect.ValueOf(server).Elem().FieldByName("trustedProxies")
	return source.IsValid() && source.Kind() == reflect.Interface && !source.IsNil()
}

// onlyLocal reports whether a route is for hosts of this machine alone, on
// which browsers take Secure cookies by clear HTTP.
func onlyLocal(route caddyhttp.Route) bool {
	for _, set := range route.MatcherSets {
		local := false
		for _, matcher := range set {
			if hosts, ok := matcher.(*caddyhttp.MatchHost); ok {
				local = true
				for _, host := range *hosts {
					local = local && isLocal(host)
				}
			}
		}
		if !local {
			return false
		}
	}
	return len(route.MatcherSets) > 0
}

func isLocal(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// sessionHandlers returns those that requests of a route meet, at any depth.
func sessionHandlers(server *caddyhttp.Server, route caddyhttp.Route) []SessionHandler {
	return handlersBelow(server, route, make(map[string]bool))
}

// handlersBelow follows each named route once: seen are those that were.
func handlersBelow(server *caddyhttp.Server, route caddyhttp.Route, seen map[string]bool) (found []SessionHandler) {
	for _, handler := range route.Handlers {
		switch h := handler.(type) {
		case SessionHandler:
			found = append(found, h)
		case *caddyhttp.Invoke:
			if named, ok := server.NamedRoutes[h.Name]; ok && !seen[h.Name] {
				seen[h.Name] = true
				found = append(found, handlersBelow(server, *named, seen)...)
			}
		default:
			for _, nested := range RoutesIn(h) {
				for _, inner := range nested.Routes {
					found = append(found, handlersBelow(server, inner, seen)...)
				}
			}
		}
	}
	return found
}
