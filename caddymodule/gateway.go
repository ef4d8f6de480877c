package caddymodule

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// hideFromGateways keeps the session's request headers from the authentication
// gateways that follow the handler: forward_auth sends them a copy of the
// request, and they are no app of this session. A gateway whose configuration
// sets a header of ours itself is left as it is.
//
// Caddy provisions the handlers of a server in their order, so what follows is
// still text, and gets one more header to delete.
func hideFromGateways(ctx caddy.Context) {
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		hideIn(server.Routes)
	}
	for _, parent := range ctx.Modules() {
		if sub, ok := parent.(*caddyhttp.Subroute); ok {
			hideIn(sub.Routes)
		}
	}
}

// hideIn changes what is still text: the first such route holds the handler
// that is being provisioned, and nothing follows that one if it is terminal.
func hideIn(routes caddyhttp.RouteList) {
	for _, route := range routes {
		if len(route.HandlersRaw) == 0 {
			continue
		}
		for i, raw := range route.HandlersRaw {
			if changed, ok := withoutSession(raw); ok {
				route.HandlersRaw[i] = changed
			}
		}
		if route.Terminal {
			return
		}
	}
}

// withoutSession returns a handler's configuration with the session's headers
// deleted for each gateway in it, and whether there is one.
func withoutSession(raw json.RawMessage) (json.RawMessage, bool) {
	if !bytes.Contains(raw, []byte(`"handle_response"`)) {
		return nil, false
	}
	var config any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&config) != nil || !hide(config) {
		return nil, false
	}
	changed, err := json.Marshal(config)
	return changed, err == nil
}

// hide changes each gateway in a configuration, at any depth.
func hide(config any) (changed bool) {
	switch c := config.(type) {
	case []any:
		for _, element := range c {
			changed = hide(element) || changed
		}
	case map[string]any:
		if isGateway(c) {
			changed = deleteSession(c)
		}
		for _, member := range c {
			changed = hide(member) || changed
		}
	}
	return changed
}

// isGateway tells what forward_auth becomes: a reverse_proxy that asks by GET,
// and goes on to the app after a 2xx.
func isGateway(handler map[string]any) bool {
	rewrite, _ := handler["rewrite"].(map[string]any)
	responses, _ := handler["handle_response"].([]any)
	return handler["handler"] == "reverse_proxy" && rewrite["method"] == "GET" && slices.ContainsFunc(responses, func(r any) bool {
		response, _ := r.(map[string]any)
		match, _ := response["match"].(map[string]any)
		codes, _ := match["status_code"].([]any)
		return slices.Contains(codes, any(json.Number("2")))
	})
}

const sessionHeaders = "Session-*"

// deleteSession adds the session's headers to those that a gateway does not get.
func deleteSession(handler map[string]any) bool {
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
	deleted, _ := request["delete"].([]any)
	if slices.Contains(deleted, any(sessionHeaders)) {
		return false
	}
	request["delete"] = append(deleted, sessionHeaders)
	headers["request"] = request
	handler["headers"] = headers
	return true
}

// member returns the object of that name, which may be a new one.
func member(of map[string]any, name string) map[string]any {
	if m, ok := of[name].(map[string]any); ok {
		return m
	}
	return make(map[string]any)
}
