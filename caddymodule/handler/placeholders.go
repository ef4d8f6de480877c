package handler

import (
	"maps"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// infoVar keeps the requestInfo among Caddy's variables of a request.
const infoVar = "sessionproxy.request"

// requestInfo is what one request knows about its session, for placeholders
// and logs. It outlives the session: the access log is written last. One
// goroutine at a time uses it, as with all of Caddy's request variables.
type requestInfo struct {
	manager string
	place   string            // of the handler, in the configuration
	active  bool              // a session handler is serving the request
	view    sessionproxy.View // nil until a session was opened
	problem string
	came    tickets               // see resume
	header  http.Header           // of the request
	browser []string              // its cookies as they came, without tickets, while the app has others
	serve   *sessionproxy.Handler // of the handler that has served the request last
}

// tickets are the request headers that may bear a ticket, as they came.
type tickets struct {
	cookies, authorization []string
	headers                http.Header // those of their names; nil if there is none
}

// infoOf returns the request's info, and makes it at the first call. An error
// route may have a session handler of its own, after the first one has ended.
func infoOf(r *http.Request) *requestInfo {
	if info, ok := caddyhttp.GetVar(r.Context(), infoVar).(*requestInfo); ok {
		return info
	}
	info := &requestInfo{header: r.Header}
	caddyhttp.SetVar(r.Context(), infoVar, info)
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(info.lookup)
	}
	return info
}

func (i *requestInfo) begin(h *Handler) {
	*i = requestInfo{manager: h.Manager, place: h.Place(), serve: h.serve, active: true, problem: i.problem, came: i.came, header: i.header}
}

// resume gives the session handler of an error route the tickets that the
// first handler has taken out of the request.
func (i *requestInfo) resume(r *http.Request, managers *app.Registry) {
	c := &i.came
	if c.cookies != nil {
		r.Header["Cookie"] = c.cookies
	} else {
		c.cookies = r.Header["Cookie"]
	}
	if c.authorization != nil {
		r.Header["Authorization"] = c.authorization
	} else {
		c.authorization = r.Header["Authorization"]
	}
	if c.headers != nil {
		maps.Copy(r.Header, c.headers)
	} else {
		c.headers = managers.TicketHeaders(r.Header)
	}
}

func (i *requestInfo) end() { i.active, i.browser = false, nil }

// String keeps {http.vars.…} from printing what is inside.
func (i *requestInfo) String() string { return i.manager }

// observe notes the opened session, before the app gets the request.
func observe(r *http.Request, view sessionproxy.View) {
	infoOf(r).view = view
	if server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); !ok || server.Logs == nil {
		return // without access logs nothing reads the field, and it is not free
	}
	if extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Set(zap.String("session_id", view.ID().String()))
	}
}

// browserCookies is what a gateway is sent as its Cookie line: see prepareProxies.
const browserCookies = "{" + browserCookiesKey + "}"

const browserCookiesKey = "http.sessionproxy.browser_cookies"

// noteBrowserCookies notes the cookies that come from the browser, before the
// app gets those of its jar in their place.
func noteBrowserCookies(r *http.Request, lines []string) {
	infoOf(r).browser = append([]string{}, lines...)
}

// cookies returns those of the browser in one line. Without a jar it is what
// the request has.
func (i *requestInfo) cookies() string {
	if i.browser != nil {
		return strings.Join(i.browser, "; ")
	}
	return strings.Join(i.header["Cookie"], "; ")
}

// lookup answers for {http.session.…}. Every name under the prefix is known:
// what has no value is empty, and without a session the state is new.
func (i *requestInfo) lookup(key string) (any, bool) {
	name, ok := strings.CutPrefix(key, app.PlaceholderPrefix)
	if !ok {
		if key == browserCookiesKey {
			return i.cookies(), true
		}
		return nil, false
	}
	switch name {
	case "manager":
		return i.manager, true
	case "problem":
		return i.problem, true
	}
	if i.view == nil {
		switch name {
		case "state":
			return string(session.New), true
		case "new":
			return true, true
		}
		return "", true
	}
	switch name {
	case "id":
		return i.view.ID().String(), true
	case "state":
		return string(i.view.State()), true
	case "new":
		state := i.view.State()
		return state == session.New || state == session.Expired, true
	case "principal":
		return i.view.Meta().Principal, true
	}
	if path, ok := strings.CutPrefix(name, "data."); ok {
		if raw, ok := document.Lookup(i.view.Data(), path); ok {
			if value, ok := document.Scalar(raw); ok {
				return value, true
			}
		}
	}
	return "", true
}
