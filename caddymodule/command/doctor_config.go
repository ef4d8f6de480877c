package command

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sessionproxy/sessionproxy/caddymodule/handler"
)

// siteMap is what a configuration says about the way from clients to apps.
type siteMap struct {
	sessions bool // some route has a session
	proxied  []proxied
}

// proxied is one place where requests go to an app.
type proxied struct {
	dial   string // as the configuration has it
	kind   string // http, or another transport
	tls    bool
	server string
	route  string // what its requests match
	cover  cover
}

// cover says whether requests have passed a session handler.
type cover struct {
	state   coverState
	session sessionRoute // the last one, if state is not uncovered
}

type coverState int

const (
	uncovered coverState = iota
	partly               // some requests have, by a matcher
	covered
)

// sessionRoute is what a session handler says that matters to an app.
type sessionRoute struct {
	Off         bool   `json:"off"`
	Manager     string `json:"manager"`
	InlineLimit *int64 `json:"inline_limit"`
	Forward     string `json:"forward"`
}

// inline returns the most data that the handler puts into a header.
func (s sessionRoute) inline() int64 {
	h := handler.Handler{Manager: s.Manager, Off: s.Off, Policy: handler.Policy{InlineLimit: s.InlineLimit, Forward: s.Forward}}
	return h.InlineData()
}

// configRoute is a route of the HTTP app, as far as it is looked at.
type configRoute struct {
	Group  string            `json:"group"`
	Match  json.RawMessage   `json:"match"`
	Handle []json.RawMessage `json:"handle"`
}

// configHandler is what handlers have that lead on to others.
type configHandler struct {
	Handler   string        `json:"handler"`
	Routes    []configRoute `json:"routes"` // of subroute
	Name      string        `json:"name"`   // of invoke
	Upstreams []struct {
		Dial string `json:"dial"`
	} `json:"upstreams"`
	Dynamic   json.RawMessage `json:"dynamic_upstreams"`
	Transport struct {
		Protocol string          `json:"protocol"`
		TLS      json.RawMessage `json:"tls"`
	} `json:"transport"`
	HandleResponse []struct {
		Routes []configRoute `json:"routes"`
	} `json:"handle_response"`
}

// readSiteMap reads a configuration in Caddy's JSON.
func readSiteMap(raw []byte) (*siteMap, error) {
	var config struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Routes []configRoute          `json:"routes"`
					Named  map[string]configRoute `json:"named_routes"`
				} `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("reading the running configuration: %w", err)
	}
	m := new(siteMap)
	servers := config.Apps.HTTP.Servers
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		w := &walker{siteMap: m, server: name, named: servers[name].Named}
		if _, _, err := w.routes(servers[name].Routes, cover{}, nil); err != nil {
			return nil, fmt.Errorf("reading the running configuration: %w", err)
		}
	}
	return m, nil
}

// walker follows the requests of one server.
type walker struct {
	*siteMap
	server string
	named  map[string]configRoute
	depth  int
}

// maxDepth is how deep routes are followed: named ones may invoke themselves.
const maxDepth = 64

// routes follows a list of routes; in is what its requests have passed before,
// match what they match. It returns what those have passed that go on behind
// it; ends says that none does.
func (w *walker) routes(list []configRoute, in cover, match []string) (now cover, ends bool, err error) {
	if w.depth++; w.depth > maxDepth {
		return in, false, fmt.Errorf("routes are nested more than %d deep", maxDepth)
	}
	defer func() { w.depth-- }()
	now = in
	before := make(map[string]cover) // each group: one route of it serves a request
	same := make(map[string]cover)   // what those have passed that match the same
	for _, route := range list {
		entry := now
		if route.Group != "" {
			if _, ok := before[route.Group]; !ok {
				before[route.Group] = now
			}
			entry = before[route.Group]
		}
		matcher := string(route.Match)
		if earlier, ok := same[matcher]; ok && entry.state < earlier.state {
			entry = earlier
		}
		inner := match
		if matcher != "" {
			inner = append(slices.Clip(match), matcher)
		}
		after, last, err := w.handlers(route.Handle, entry, inner)
		if err != nil {
			return now, false, err
		}
		always := matcher == "" && route.Group == ""
		switch {
		case always:
			now, ends = after, ends || last
		case last, after.state <= entry.state:
		default:
			same[matcher] = after
			now = cover{max(now.state, partly), after.session}
		}
	}
	return now, ends, nil
}

// handlers follows the handlers of one route; ends says that one of them
// answers, so that no request goes on.
func (w *walker) handlers(list []json.RawMessage, now cover, match []string) (_ cover, ends bool, err error) {
	for _, raw := range list {
		var h configHandler
		if err := json.Unmarshal(raw, &h); err != nil {
			continue // another module's handler may use these names otherwise
		}
		last := false
		switch h.Handler {
		case "session":
			now = cover{state: covered}
			err = json.Unmarshal(raw, &now.session)
			w.sessions = w.sessions || !now.session.Off
		case "subroute":
			now, last, err = w.routes(h.Routes, now, match)
		case "invoke":
			now, last, err = w.routes([]configRoute{w.named[h.Name]}, now, match)
		case "reverse_proxy":
			last = true
			w.proxy(h, now, match)
			for _, response := range h.HandleResponse {
				if _, _, err := w.routes(response.Routes, now, match); err != nil {
					return now, false, err
				}
				last = false // it may go on behind the response
			}
		case "static_response", "error", "file_server":
			last = true
		}
		if err != nil {
			return now, false, err
		}
		ends = ends || last
	}
	return now, ends, nil
}

// proxy notes where a reverse_proxy leads.
func (w *walker) proxy(h configHandler, now cover, match []string) {
	p := proxied{kind: h.Transport.Protocol, tls: h.Transport.TLS != nil, server: w.server, route: strings.Join(match, " "), cover: now}
	if p.kind == "" {
		p.kind = "http"
	}
	if p.route == "" {
		p.route = "every request"
	}
	for _, u := range h.Upstreams {
		p.dial = u.Dial
		w.proxied = append(w.proxied, p)
	}
	if h.Dynamic != nil {
		p.dial = "(dynamic upstreams)"
		w.proxied = append(w.proxied, p)
	}
}

// withSession reports whether some route leads to the app with a session.
func (m *siteMap) withSession(dial string) bool {
	return slices.ContainsFunc(m.proxied, func(p proxied) bool {
		return p.dial == dial && p.cover.state != uncovered && !p.cover.session.Off
	})
}

// inline returns the most data that any route puts into a header for the app.
func (m *siteMap) inline(dial string) (most int64) {
	for _, p := range m.proxied {
		if p.dial == dial && p.cover.state != uncovered {
			most = max(most, p.cover.session.inline())
		}
	}
	return most
}

// checkConfig finds routes that lead to an app without a session handler.
func (d *doctor) checkConfig(m *siteMap) {
	if !m.sessions {
		d.found("configuration", stateFail, "add `session` to a site", "no route of the running configuration has a session")
		return
	}
	const check, remedy = "spoofed headers", "give the route `session`, or `session off` if it has none"
	good := 0
	for _, p := range m.proxied {
		switch {
		case p.cover.state == covered:
			good++
		case p.cover.state == partly:
			d.found(check, stateFail, remedy, "server %s, %s: some requests reach %s without a session handler, with the Session-* headers that they came with", p.server, p.route, p.dial)
		case m.withSession(p.dial):
			d.found(check, stateFail, remedy, "server %s, %s: Session-* headers of clients arrive at %s, which believes them: other routes to it have a session", p.server, p.route, p.dial)
		default:
			d.found(check, stateWarn, remedy, "server %s, %s: Session-* headers of clients arrive at %s; it matters if that app would believe them", p.server, p.route, p.dial)
		}
	}
	if good == len(m.proxied) {
		d.found(check, stateOK, "", "every route to an app (%d) has a session handler before it", good)
	}
}
