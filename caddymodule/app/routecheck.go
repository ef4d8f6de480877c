package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/logging"
	maphandler "github.com/caddyserver/caddy/v2/modules/caddyhttp/map"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
)

// SessionHandler is what the checks of routes need to know of a handler that
// opens sessions.
type SessionHandler interface {
	caddyhttp.MiddlewareHandler
	// Opens returns the manager whose sessions the handler opens, or false if
	// it opens none.
	Opens() (manager string, ok bool)
	// SecureAlways reports whether browsers get the ticket in a cookie that
	// they send by HTTPS alone.
	SecureAlways() bool
	// SetPlace notes the handler's path in the configuration, and Place returns it.
	SetPlace(path string)
	Place() string
}

// insertedHandler is a handler that no configuration has.
type insertedHandler interface{ IsInserted() }

// placeholderProvider is a handler that opens no session, after which the
// placeholders of the session are known.
type placeholderProvider interface{ ProvidesPlaceholders() }

// PlaceholderPrefix is before the names of all placeholders of the session.
const PlaceholderPrefix = "http.session."

// ErrTwoSessions refuses a second session handler on one request.
func ErrTwoSessions(first, second string) error {
	return fmt.Errorf("two session handlers on one request, of the managers '%s' and '%s'; a request has one session: remove one of them, or match them to different requests", first, second)
}

// checkRoutes refuses routes on which sessions cannot work: see routeCheck.
func (a *App) checkRoutes() error {
	app := a.httpApp()
	if app == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(app.Servers)) {
		server := app.Servers[name]
		a.warnOfSecure(name, server)
		if err := (&routeCheck{}).routes("apps/http/servers/"+name+"/routes", server.Routes, new(passed)); err != nil {
			return err
		}
		if server.Errors == nil {
			continue
		}
		// An error route follows any other route, whose session has ended.
		if err := (&routeCheck{afterError: true}).routes("apps/http/servers/"+name+"/errors/routes", server.Errors.Routes, new(passed)); err != nil {
			return err
		}
	}
	return nil
}

// routeCheck follows the requests of one server through its routes, after they
// were provisioned, and refuses what would fail for each request: two session
// handlers on one way, one that stands behind an app and gets no request, and a
// placeholder of the session that stands before any session handler, where a
// guard would take everybody for somebody. A place is the path of a module in
// the JSON configuration, as the admin endpoint's /config/ knows it.
type routeCheck struct {
	afterError bool // these are error routes
}

// passed is what requests have met on their way.
type passed struct {
	sessions []passedSession
	known    bool   // the placeholders are known to some requests at least
	answered string // the handler that has answered each of them, or nothing
}

// passedSession is a session handler on the way.
type passedSession struct {
	handler SessionHandler
	manager string
	always  bool // each request that comes this far has met it
	apart   bool // it is not, and what follows is not for each request either
}

// way returns what requests have met that take a route. Where not all of them
// do, the route and what only some have met may be meant for different ones.
func (p *passed) way(all bool) *passed {
	w := &passed{slices.Clone(p.sessions), p.known, p.answered}
	for i := range w.sessions {
		w.sessions[i].apart = w.sessions[i].apart || !all && !w.sessions[i].always
	}
	return w
}

// add takes over what one of several ways has met.
func (p *passed) add(way *passed) {
	p.known = p.known || way.known
	for _, s := range way.sessions {
		if !slices.ContainsFunc(p.sessions, func(o passedSession) bool { return o.handler == s.handler }) {
			p.sessions = append(p.sessions, passedSession{handler: s.handler, manager: s.manager})
		}
	}
}

// routes follows the list of routes at a place, and notes in p what those who leave it have met.
func (c *routeCheck) routes(place string, list caddyhttp.RouteList, p *passed) error {
	// Of the routes of a group a request takes one: what one of them meets,
	// no other does.
	groups := make(map[string]*passed)
	ours := 0
	for i, route := range list {
		if inserted(route) {
			ours++
			continue
		}
		at := fmt.Sprintf("%s/%d", place, i-ours)
		if route.Group == "" {
			for _, name := range slices.Sorted(maps.Keys(groups)) {
				p.add(groups[name])
			}
			clear(groups)
		}
		for _, set := range route.MatcherSets {
			for _, matcher := range set {
				if err := c.use(at+"/match", matcher, p); err != nil {
					return err
				}
			}
		}
		all := len(route.MatcherSets) == 0 && route.Group == ""
		way := p.way(all)
		if err := c.handlers(at+"/handle", route.Handlers, way, len(route.MatcherSets) == 0); err != nil {
			return err
		}
		switch {
		case route.Group != "":
			if groups[route.Group] == nil {
				groups[route.Group] = new(passed)
			}
			groups[route.Group].add(way)
		case all:
			*p = *way
		case !route.Terminal:
			p.add(way)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		p.add(groups[name])
	}
	return nil
}

// inserted reports whether the configuration does not have the route, but a
// session handler has added it.
func inserted(route caddyhttp.Route) bool {
	if len(route.Handlers) != 1 {
		return false
	}
	switch h := route.Handlers[0].(type) {
	case insertedHandler:
		return true
	case *reverseproxy.CopyResponseHeadersHandler:
		return slices.Equal(h.Include, sessionproxy.WriteHeaders())
	}
	return false
}

// handlers follows the handlers of one route; always says that each request
// that comes to the route takes it.
func (c *routeCheck) handlers(place string, list []caddyhttp.MiddlewareHandler, p *passed, always bool) error {
	for i, handler := range list {
		at := fmt.Sprintf("%s/%d", place, i)
		var err error
		switch h := handler.(type) {
		case SessionHandler:
			err = c.session(at, h, p, always)
		case placeholderProvider:
			p.known = true
		case *maphandler.Handler, *logging.LogAppend:
			// These look up their values after the session was opened.
		case *caddyhttp.Subroute:
			if err = c.routes(at+"/routes", h.Routes, p); err == nil && h.Errors != nil {
				failed := p.way(false)
				failed.answered = ""
				err = (&routeCheck{afterError: true}).routes(at+"/errors/routes", h.Errors.Routes, failed)
			}
		case *reverseproxy.Handler:
			err = c.responses(at, h, h.HandleResponse, p)
			if len(h.HandleResponse) == 0 {
				p.answered = "reverse_proxy"
			}
		case *intercept.Intercept:
			err = c.responses(at, h, h.HandleResponse, p)
		default:
			err = c.use(at, handler, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// responses follows what is done with the responses of a handler.
func (c *routeCheck) responses(place string, of any, list []caddyhttp.ResponseHandler, p *passed) error {
	if err := c.use(place, of, p); err != nil {
		return err
	}
	for i, r := range list {
		if err := c.routes(fmt.Sprintf("%s/handle_response/%d/routes", place, i), r.Routes, p.way(false)); err != nil {
			return err
		}
	}
	return nil
}

// session refuses a handler if a request must meet another one, too. Two that
// both have matchers may be meant for different requests.
func (c *routeCheck) session(place string, h SessionHandler, p *passed, always bool) error {
	manager, ok := h.Opens()
	if !ok {
		return nil
	}
	h.SetPlace(place)
	if p.answered != "" {
		return fmt.Errorf("session %s stands after %s, at %s, and gets no request: that one has answered each; put `session` before it", manager, p.answered, place)
	}
	for _, s := range p.sessions {
		if s.handler != h && (s.always || always && !s.apart) {
			return fmt.Errorf("%w; they stand at %s and at %s", ErrTwoSessions(s.manager, manager), s.handler.Place(), place)
		}
	}
	p.sessions, p.known = append(p.sessions, passedSession{handler: h, manager: manager, always: always}), true
	return nil
}

// use refuses a matcher or handler that reads the session before there can be
// one: its placeholders are not known there.
func (c *routeCheck) use(place string, module any, p *passed) error {
	if p.known || c.afterError {
		return nil
	}
	text, _ := json.Marshal(module) // one that fails was not configured by text
	_, rest, found := strings.Cut(string(text), "{"+PlaceholderPrefix)
	if !found {
		return nil
	}
	name, _, _ := strings.Cut(rest, "}")
	return fmt.Errorf("{%s%s} is used before any session handler, at %s: it would never have a value; put `session` before it, or remove it",
		PlaceholderPrefix, name, place)
}
