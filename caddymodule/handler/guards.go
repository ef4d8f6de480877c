package handler

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
)

// guardServer puts guards before all that a server does with a request. Caddy
// compiles its routes, and then its error routes, after all handlers of the
// routes were provisioned: a session handler that stands in error routes or in
// a named route comes too late, and checkRoutes is strict there. Of the guards,
// it puts those that still can be put: into what handle_errors is adapted to.
func guardServer(ctx caddy.Context) error {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	switch {
	case !ok:
		return nil
	case isPending(server.Routes):
		guardRoutes(server.Routes)
		if server.Errors != nil {
			server.Errors.Routes = withErrorGuard(server.Errors.Routes)
		}
		return nil
	case server.Errors == nil || isPending(server.Errors.Routes):
		return nil
	}
	for _, route := range server.Errors.Routes {
		for _, handler := range route.Handlers {
			if sub, ok := handler.(*caddyhttp.Subroute); ok {
				sub.Routes = withErrorGuard(sub.Routes)
				if err := sub.Routes[:min(1, len(sub.Routes))].ProvisionHandlers(ctx, nil); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// isPending reports whether a list of routes has handlers that are still text.
func isPending(routes caddyhttp.RouteList) bool {
	return slices.ContainsFunc(routes, func(r caddyhttp.Route) bool { return len(r.HandlersRaw) > 0 })
}

// placeholderGuard is the first matcher that a request of a server with
// sessions meets. It takes each one, and makes the placeholders of the session
// known, whether a session handler gets the request or not: their values are
// empty, and the state is `new`. A guard that reads an unknown one would be
// open, since `{http.session.principal} == ""` is false then.
type placeholderGuard struct{}

// MatchWithError matches each request.
func (placeholderGuard) MatchWithError(r *http.Request) (bool, error) {
	infoOf(r)
	return true, nil
}

// IsInserted tells the checks of routes that no configuration has the matcher.
func (placeholderGuard) IsInserted() {}

// guardRoutes puts the guard into the first route, once. A route cannot be put
// before it: Caddy is going through the list.
func guardRoutes(routes caddyhttp.RouteList) {
	first := &routes[0]
	switch {
	case app.IsGuarded(routes):
	case len(first.MatcherSets) == 0:
		first.MatcherSets = caddyhttp.MatcherSets{{placeholderGuard{}}}
	default:
		first.MatcherSets[0] = append(caddyhttp.MatcherSet{placeholderGuard{}}, first.MatcherSets[0]...)
	}
}

// errorGuard stands before the error routes of a server that has sessions. It
// makes the placeholders known to requests that no route has seen. An app that
// serves error pages writes to the client directly: what only the proxy may say
// is removed from its response, as from any other app's.
type errorGuard struct{}

// ServeHTTP cleans the response of a request that had a session.
func (errorGuard) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if info := infoOf(r); info.serve != nil {
		w = info.serve.Clean(w, func() bool { return info.active })
	}
	return next.ServeHTTP(w, r)
}

// withErrorGuard puts the guard before error routes, once.
func withErrorGuard(routes caddyhttp.RouteList) caddyhttp.RouteList {
	if len(routes) == 0 {
		return routes
	}
	if first := routes[0].Handlers; len(first) > 0 && first[0] == caddyhttp.MiddlewareHandler(errorGuard{}) {
		return routes
	}
	guard := caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{errorGuard{}}}
	return append(caddyhttp.RouteList{guard}, routes...)
}

// IsInserted tells the checks of routes that no configuration has the handler.
func (errorGuard) IsInserted() {}

var (
	_ caddyhttp.RequestMatcherWithError = placeholderGuard{}
	_ caddyhttp.MiddlewareHandler       = errorGuard{}
)
