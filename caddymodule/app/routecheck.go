package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/logging"
	maphandler "github.com/caddyserver/caddy/v2/modules/caddyhttp/map"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
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
		c := &routeCheck{server: server, place: "apps/http/servers/" + name, guarded: IsGuarded(server.Routes), followed: make(followed), cut: new(bool)}
		if err := c.routes(c.place+"/routes", server.Routes, new(passed)); err != nil {
			return err
		}
		if server.Errors == nil {
			continue
		}
		// An error route follows any other route, whose session has ended.
		if err := c.ofErrors().routes(c.place+"/errors/routes", server.Errors.Routes, new(passed)); err != nil {
			return err
		}
	}
	return nil
}

// routeCheck follows the requests of one server through its routes, after they
// were provisioned, and refuses what would fail for each request: two session
// handlers on one way, one that stands behind an app and gets no request, and a
// placeholder of the session that stands before any session handler, where a
// guard would take every stranger for a user. A place is the path of a module in
// the JSON configuration, as the admin endpoint's /config/ knows it.
type routeCheck struct {
	server     *caddyhttp.Server
	place      string
	guarded    bool     // the placeholders are known to each request of the server
	afterError bool     // these are error routes
	invoked    []string // the named routes that are being followed
	followed   followed
	cut        *bool // set if a route was not followed because it is being followed
}

// ofErrors returns the check for routes that follow an error.
func (c *routeCheck) ofErrors() *routeCheck {
	errors := *c
	errors.afterError = true
	return &errors
}

// routes follows the list of routes at a place, and notes in p what requests that leave it have met.
func (c *routeCheck) routes(place string, list caddyhttp.RouteList, p *passed) error {
	// Of the routes of a group a request takes one: what one of them meets,
	// no other does.
	groups := make(map[string]*passed)
	leave := func() {
		for _, name := range slices.Sorted(maps.Keys(groups)) {
			p.add(groups[name])
		}
		clear(groups)
	}
	ours := 0
	for i, route := range list {
		if inserted(route) {
			ours++
			continue
		}
		if route.Group == "" {
			leave()
		}
		way, all, err := c.route(fmt.Sprintf("%s/%d", place, i-ours), route, p)
		switch {
		case err != nil:
			return err
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
	leave()
	return nil
}

// route follows one route at a place, and returns what those have met that
// leave it, and whether that is each request that comes to it.
func (c *routeCheck) route(place string, route caddyhttp.Route, p *passed) (way *passed, all bool, err error) {
	for _, set := range route.MatcherSets {
		if err := c.matchers(place+"/match", set, p); err != nil {
			return nil, false, err
		}
	}
	always := len(route.MatcherSets) == 0 || len(route.MatcherSets) == 1 && isInserted(route.MatcherSets[0])
	all = always && route.Group == ""
	way = p.way(all)
	return way, all, c.handlers(place+"/handle", route.Handlers, way, always)
}

// matchers checks a set of matchers. Those that are negated have no text of their own.
func (c *routeCheck) matchers(place string, set caddyhttp.MatcherSet, p *passed) error {
	for _, matcher := range set {
		if not, ok := matcher.(*caddyhttp.MatchNot); ok {
			for _, negated := range not.MatcherSets {
				if err := c.matchers(place, negated, p); err != nil {
					return err
				}
			}
		}
		if err := c.use(place, matcher, p); err != nil {
			return err
		}
	}
	return nil
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
		case *maphandler.Handler, *logging.LogAppend:
			// These look up their values after the session was opened.
		case *caddyhttp.Subroute:
			err = c.subroute(at, h, p)
		case *caddyhttp.Invoke:
			err = c.invoke(h.Name, p)
		case *reverseproxy.Handler:
			err = c.nested(at, h, p)
			if len(h.HandleResponse) == 0 {
				p.answered = "reverse_proxy"
			}
		default:
			err = c.nested(at, h, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// subroute follows the routes of a handler, and those for their errors.
func (c *routeCheck) subroute(place string, h *caddyhttp.Subroute, p *passed) error {
	sure := p.sure
	if err := c.routes(place+"/routes", h.Routes, p); err != nil || h.Errors == nil {
		return err
	}
	failed := p.way(false)
	failed.answered, failed.sure = "", sure // it may have failed before the session
	return c.ofErrors().routes(place+"/errors/routes", h.Errors.Routes, failed)
}

// nested follows what a handler does in routes of its own, with responses for instance.
func (c *routeCheck) nested(place string, h any, p *passed) error {
	if err := c.use(place, h, p); err != nil {
		return err
	}
	for _, nested := range RoutesIn(h) {
		if err := c.routes(place+"/"+nested.Path, nested.Routes, p.way(false)); err != nil {
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
		if s.always || always && !s.apart {
			return fmt.Errorf("%w; they stand at %s and at %s", ErrTwoSessions(s.manager, manager), s.handler.Place(), place)
		}
	}
	p.sessions, p.known = append(p.sessions, passedSession{handler: h, manager: manager, always: always}), true
	p.sure = true
	return nil
}

// use refuses a matcher or handler that reads the session before there can be
// one, or where its placeholders are not known to some requests.
func (c *routeCheck) use(place string, module any, p *passed) error {
	// A named route may be for requests with a session and for others.
	if p.sure || c.guarded && (p.known || c.afterError || len(c.invoked) > 0) {
		return nil
	}
	text, _ := json.Marshal(module) // one that fails was not configured by text
	_, rest, found := strings.Cut(string(text), "{"+PlaceholderPrefix)
	if !found {
		return nil
	}
	name, _, _ := strings.Cut(rest, "}")
	if p.known || c.afterError {
		return fmt.Errorf("{%s%s} is used at %s, where requests come that met no session handler: it would be unknown to them; put `session` before it, into the site's own routes and not only into a named route or error route",
			PlaceholderPrefix, name, place)
	}
	return fmt.Errorf("{%s%s} is used before any session handler, at %s: it would never have a value; put `session` before it, or remove it",
		PlaceholderPrefix, name, place)
}
