package handler

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/sessionproxy"
)

// provisioned changes each proxy among handlers that are no longer text, at any
// depth: those of a named route that a session in another one comes before.
func (p proxyPreparer) provisioned(ctx caddy.Context, handlers []caddyhttp.MiddlewareHandler) error {
	for _, handler := range handlers {
		for _, nested := range app.RoutesIn(handler) {
			for _, route := range nested.Routes {
				if err := p.provisioned(ctx, route.Handlers); err != nil {
					return err
				}
			}
		}
		proxy, ok := handler.(*reverseproxy.Handler)
		switch {
		case !ok:
		case p.hide && isGatewayHandler(proxy):
			p.hideSession(proxy)
		default:
			if err := copyWritesOf(ctx, proxy); err != nil {
				return err
			}
		}
	}
	return nil
}

// isGatewayHandler is isGateway for a handler.
func isGatewayHandler(h *reverseproxy.Handler) bool {
	return h.Rewrite != nil && h.Rewrite.Method == http.MethodGet &&
		slices.ContainsFunc(h.HandleResponse, func(r caddyhttp.ResponseHandler) bool {
			return r.Match != nil && slices.Contains(r.Match.StatusCode, 2)
		})
}

// hideSession is deleteSession for a handler.
func (p proxyPreparer) hideSession(h *reverseproxy.Handler) {
	if h.Headers == nil {
		h.Headers = new(headers.Handler)
	}
	if h.Headers.Request == nil {
		h.Headers.Request = new(headers.HeaderOps)
	}
	ops := h.Headers.Request
	for _, fields := range []http.Header{ops.Set, ops.Add} {
		for name := range fields {
			if strings.HasPrefix(strings.ToLower(name), "session-") {
				return
			}
		}
	}
	if !slices.Contains(ops.Delete, sessionHeaders) {
		ops.Delete = append(ops.Delete, sessionHeaders)
	}
	if !p.jar {
		return
	}
	setField(ops, "Cookie", browserCookies)
	if h.Headers.Response == nil {
		h.Headers.Response = &headers.RespHeaderOps{HeaderOps: new(headers.HeaderOps)}
	}
	setField(h.Headers.Response.HeaderOps, sessionproxy.GatewayMark, "1")
}

// setField is addField for a handler.
func setField(ops *headers.HeaderOps, name, value string) {
	if _, ok := ops.Set[name]; ok {
		return
	}
	if ops.Set == nil {
		ops.Set = make(http.Header)
	}
	ops.Set[name] = []string{value}
}

// copyWritesOf is copyWrites for a handler.
func copyWritesOf(ctx caddy.Context, h *reverseproxy.Handler) error {
	for i, response := range h.HandleResponse {
		if len(response.Routes) == 0 || copiesResponse(response.Routes) {
			continue
		}
		handler := &reverseproxy.CopyResponseHeadersHandler{Include: sessionproxy.WriteHeaders()}
		route := caddyhttp.Route{
			MatcherSetsRaw: caddyhttp.RawMatcherSets{{"expression": caddyconfig.JSON(copiedStatus, nil)}},
			HandlersRaw:    []json.RawMessage{caddyconfig.JSONModuleObject(handler, "handler", "copy_response_headers", nil)},
		}
		if err := route.Provision(ctx, nil); err != nil {
			return err
		}
		h.HandleResponse[i].Routes = append(caddyhttp.RouteList{route}, response.Routes...)
	}
	return nil
}

// copiesResponse reports whether routes copy headers of the response themselves.
func copiesResponse(routes caddyhttp.RouteList) bool {
	for _, route := range routes {
		for _, handler := range route.Handlers {
			switch handler.(type) {
			case *reverseproxy.CopyResponseHandler, *reverseproxy.CopyResponseHeadersHandler:
				return true
			}
			for _, nested := range app.RoutesIn(handler) {
				if copiesResponse(nested.Routes) {
					return true
				}
			}
		}
	}
	return false
}
