package handler

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/sessionproxy"
)

// prepareProxies changes the configuration of the reverse_proxy handlers that
// follow a session handler and take responses away from it by handle_response:
//
//   - What an app writes in such a response is copied to the one that goes to
//     the client instead, where the session handler finds it, unless its status
//     is 500 or above, or the configuration copies headers itself.
//   - A gateway of forward_auth gets no header of the session, if hide is set,
//     unless its configuration sets one; nor does it get cookies of the app's
//     jar, but those of the browser, and its own cookies go there.
//
// Caddy provisions the handlers of a server in their order, so what follows is
// still text: the routes of the server, or else its error routes, and those of
// the handlers around. Named routes come last, in any order; which of them a
// request invokes after the session is not known, so all are changed.
func prepareProxies(ctx caddy.Context, hide, jar bool) error {
	p := proxyPreparer{hide, jar}
	for _, parent := range ctx.Modules() {
		for _, nested := range app.RoutesIn(parent) {
			p.routes(nested.Routes)
		}
	}
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	switch {
	case !ok:
		return nil
	case isPending(server.Routes):
		p.routes(server.Routes)
	case server.Errors != nil:
		p.routes(server.Errors.Routes)
	}
	for _, route := range server.NamedRoutes {
		p.texts(route.HandlersRaw)
		if err := p.provisioned(ctx, route.Handlers); err != nil {
			return err
		}
	}
	return nil
}

// proxyPreparer changes configurations.
type proxyPreparer struct {
	hide bool // the session from gateways
	jar  bool // the session keeps the app's cookies
}

// routes changes a list of routes: the first one that is still text holds the
// handler that is being provisioned, and nothing follows it if it is terminal.
func (p proxyPreparer) routes(routes caddyhttp.RouteList) {
	for _, route := range routes {
		if len(route.HandlersRaw) == 0 {
			continue
		}
		p.texts(route.HandlersRaw)
		if route.Terminal {
			return
		}
	}
}

// texts changes handlers that are still text.
func (p proxyPreparer) texts(handlers []json.RawMessage) {
	for i, raw := range handlers {
		if changed, ok := p.handler(raw); ok {
			handlers[i] = changed
		}
	}
}

// handler returns a handler's configuration as it has to be, and whether that
// is another one.
func (p proxyPreparer) handler(raw json.RawMessage) (json.RawMessage, bool) {
	if !bytes.Contains(raw, []byte(`"handle_response"`)) {
		return nil, false
	}
	var config any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&config) != nil || !p.change(config) {
		return nil, false
	}
	changed, err := json.Marshal(config)
	return changed, err == nil
}

// change changes each proxy in a configuration, at any depth.
func (p proxyPreparer) change(config any) (changed bool) {
	switch c := config.(type) {
	case []any:
		for _, element := range c {
			changed = p.change(element) || changed
		}
	case map[string]any:
		for _, member := range c {
			changed = p.change(member) || changed
		}
		switch {
		case c["handler"] != "reverse_proxy":
		case p.hide && isGateway(c):
			changed = p.deleteSession(c) || changed
		default:
			changed = copyWrites(c) || changed
		}
	}
	return changed
}

// isGateway tells what forward_auth becomes: a reverse_proxy that asks by GET,
// and goes on to the app after a 2xx.
func isGateway(handler map[string]any) bool {
	rewrite, _ := handler["rewrite"].(map[string]any)
	responses, _ := handler["handle_response"].([]any)
	return rewrite["method"] == "GET" && slices.ContainsFunc(responses, func(r any) bool {
		response, _ := r.(map[string]any)
		match, _ := response["match"].(map[string]any)
		codes, _ := match["status_code"].([]any)
		return slices.Contains(codes, any(json.Number("2")))
	})
}

const (
	sessionHeaders = "Session-*"
	copiedStatus   = "{http.reverse_proxy.status_code} < 500"
)

// deleteSession adds the session's headers to those that a gateway does not
// get, and gives it the browser's cookies.
func (p proxyPreparer) deleteSession(handler map[string]any) (changed bool) {
	headers := member(handler, "headers")
	request := member(headers, "request")
	for _, op := range []string{"set", "add"} {
		names, _ := request[op].(map[string]any)
		for name := range names {
			if strings.HasPrefix(strings.ToLower(name), "session-") {
				return false
			}
		}
	}
	if deleted, _ := request["delete"].([]any); !slices.Contains(deleted, any(sessionHeaders)) {
		request["delete"] = append(deleted, sessionHeaders)
		changed = true
	}
	headers["request"] = request
	if p.jar {
		changed = addField(headers, "response", sessionproxy.GatewayMark, "1") || changed
		changed = addField(headers, "request", "Cookie", browserCookies) || changed
	}
	if changed {
		handler["headers"] = headers
	}
	return changed
}

// addField has the headers of a proxy set one, unless they set it already.
func addField(headers map[string]any, direction, name, value string) bool {
	ops := member(headers, direction)
	set := member(ops, "set")
	if _, ok := set[name]; ok {
		return false
	}
	set[name] = []any{value}
	ops["set"], headers[direction] = set, ops
	return true
}

// copyWrites has the routes that handle a response begin with a copy of what
// the app writes to the session.
func copyWrites(handler map[string]any) (changed bool) {
	responses, _ := handler["handle_response"].([]any)
	for _, r := range responses {
		response, ok := r.(map[string]any)
		if !ok {
			continue
		}
		routes, _ := response["routes"].([]any)
		if text, err := json.Marshal(routes); err != nil || bytes.Contains(text, []byte(`"copy_response`)) || len(routes) == 0 {
			continue
		}
		first := map[string]any{
			"match":  []any{map[string]any{"expression": copiedStatus}},
			"handle": []any{map[string]any{"handler": "copy_response_headers", "include": sessionproxy.WriteHeaders()}},
		}
		response["routes"] = append([]any{first}, routes...)
		changed = true
	}
	return changed
}

// member returns the object of that name, which may be a new one.
func member(of map[string]any, name string) map[string]any {
	if m, ok := of[name].(map[string]any); ok {
		return m
	}
	return make(map[string]any)
}
