package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// followed are the named routes that were followed from the same state, and
// what requests have met that leave them: routes that each invoke the next one
// twice lead to the last of them by more ways than can be walked.
type followed map[string]outcome

// outcome is what following a named route has come to. A refusal ends the check.
type outcome struct {
	way *passed
	all bool // each request that comes to it takes it
	cut bool // it invokes a route that was being followed, which was not followed again
}

// state describes what following a named route depends on, but for the routes
// that are being followed.
func (c *routeCheck) state(name string, p *passed) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %t %t %t %q", name, c.afterError, p.known, p.sure, p.answered)
	for _, s := range p.sessions {
		fmt.Fprintf(&b, " %q %t %t", s.handler.Place(), s.always, s.apart)
	}
	return b.String()
}

// invoke follows a named route. One that invokes itself meets nothing new.
func (c *routeCheck) invoke(name string, p *passed) error {
	route, ok := c.server.NamedRoutes[name]
	if !ok {
		return nil
	}
	if slices.Contains(c.invoked, name) {
		*c.cut = true
		return nil
	}
	out, err := c.follow(name, *route, p)
	switch {
	case err != nil:
		return err
	case out.all:
		*p = *out.way.clone()
	default:
		p.add(out.way)
	}
	return nil
}

// follow follows a named route, or finds what that has come to before. Where
// it was cut, that holds for the same routes being followed alone.
func (c *routeCheck) follow(name string, route caddyhttp.Route, p *passed) (outcome, error) {
	state := c.state(name, p)
	under := state + fmt.Sprintf(" below %q", slices.Sorted(slices.Values(c.invoked)))
	for _, key := range []string{state, under} {
		if out, ok := c.followed[key]; ok {
			*c.cut = *c.cut || out.cut
			return out, nil
		}
	}
	var out outcome
	inner := *c
	inner.invoked, inner.cut = append(slices.Clip(c.invoked), name), &out.cut
	var err error
	if out.way, out.all, err = inner.route(c.place+"/named_routes/"+name, route, p); err != nil {
		return out, err
	}
	if out.cut {
		state, *c.cut = under, true
	}
	c.followed[state] = out
	return out, nil
}
