package handler

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// errorGuard stands before the error routes of a server that has sessions. An
// app that serves error pages writes to the client directly: what only the
// proxy may say is removed from its response, as from any other app's.
type errorGuard struct{}

// ServeHTTP cleans the response of a request that had a session.
func (errorGuard) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if info, ok := caddyhttp.GetVar(r.Context(), infoVar).(*requestInfo); ok && info.serve != nil {
		w = info.serve.Clean(w, func() bool { return info.active })
	}
	return next.ServeHTTP(w, r)
}

// guardErrorRoutes puts the guard before the error routes, once. Caddy
// provisions them after all other routes of the server, so that a session
// handler there comes too late for it, and needs none.
func guardErrorRoutes(ctx caddy.Context) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.Errors == nil || len(server.Errors.Routes) == 0 {
		return
	}
	pending := slices.ContainsFunc(server.Routes, func(r caddyhttp.Route) bool { return len(r.HandlersRaw) > 0 })
	if first := server.Errors.Routes[0].Handlers; !pending || len(first) > 0 && first[0] == caddyhttp.MiddlewareHandler(errorGuard{}) {
		return
	}
	guard := caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{errorGuard{}}}
	server.Errors.Routes = append(caddyhttp.RouteList{guard}, server.Errors.Routes...)
}

// IsInserted tells the checks of routes that no configuration has the handler.
func (errorGuard) IsInserted() {}

var _ caddyhttp.MiddlewareHandler = errorGuard{}
