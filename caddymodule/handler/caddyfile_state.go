package handler

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
)

// sessionState is what the session directives of one Caddyfile know of each
// other. Named routes are read apart, with a state of their own.
type sessionState struct {
	managers *app.Registry
	unnamed  map[string]string // places of unnamed sessions, by site
	matched  map[string]bool   // by place: whether a session that was read has a matcher
}

func sessionsOf(h httpcaddyfile.Helper) *sessionState {
	const key = "sessionproxy"
	state, ok := h.State[key].(*sessionState)
	if !ok {
		state = &sessionState{managers: app.NewRegistry(), unnamed: make(map[string]string), matched: make(map[string]bool)}
		h.State[key] = state
	}
	return state
}

// name gives an unnamed session the id that follows from its site.
func (t *sessionState) name(h httpcaddyfile.Helper, s *Handler, place string) error {
	if h.IsNamedRoute() {
		return fmt.Errorf("a session in a named route needs a name: session <name>, at %s", place)
	}
	keys, err := siteKeys(h)
	if err != nil {
		return fmt.Errorf("%w, at %s", err, place)
	}
	site := strings.Join(keys, " ")
	if first, ok := t.unnamed[site]; ok {
		return fmt.Errorf("second unnamed session of the site %s, at %s; the first one is at %s: give both a name", site, place, first)
	}
	t.unnamed[site] = place
	s.Manager, err = managerID(keys[0])
	return err
}
