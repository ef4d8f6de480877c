package handler

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// routeGroups is the key under which Caddy keeps, in a request's context, the
// groups of routes of which one has matched: no other route of the group is
// taken then. Caddy does not export it; TestAttemptsTakeOneWay notices a change.
const routeGroups = caddy.CtxKey("route_group")

// requestState is what Caddy's handlers change beside the request itself: its
// variables, the groups of routes that are satisfied, and the values of
// placeholders.
type requestState struct {
	vars   map[string]any
	groups map[string]struct{}
	repl   *caddy.Replacer // of the request as it came
	last   *replacerLayer  // of the attempt
}

// newRequestState notes the state of a request before its first attempt. Each
// attempt begins with that state and keeps its changes to itself. After the
// last one its variables stay with the request, and end shows its placeholders
// to what comes after: an error route, the access log.
func newRequestState(r *http.Request) (attempt, end func(*http.Request)) {
	s := &requestState{}
	if vars, ok := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any); ok {
		s.vars = maps.Clone(vars)
	}
	if groups, ok := r.Context().Value(routeGroups).(map[string]struct{}); ok {
		s.groups = maps.Clone(groups)
	}
	s.repl, _ = r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	return s.begin, s.end
}

// begin gives the request the state as it was noted, in place. Maps are
// copies: what a former attempt left behind may still read its own, a
// connection that is being dialled for instance, and Caddy has no lock for them.
func (s *requestState) begin(r *http.Request) {
	ctx := r.Context()
	if s.vars != nil {
		ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, maps.Clone(s.vars))
	}
	if s.groups != nil {
		ctx = context.WithValue(ctx, routeGroups, maps.Clone(s.groups))
	}
	if s.repl != nil {
		s.last = newReplacerLayer(s.repl)
		ctx = context.WithValue(ctx, caddy.ReplacerCtxKey, s.last.repl)
	}
	*r = *r.WithContext(ctx)
}

func (s *requestState) end(r *http.Request) {
	if s.last != nil {
		s.last.closed.Store(true)
		s.repl.Map(s.last.own)
		*r = *r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, s.repl))
	}
}

// replacerLayer is a replacer that keeps what is set in it, and shows what
// another one has.
type replacerLayer struct {
	repl   *caddy.Replacer
	closed atomic.Bool // it no longer looks below, so that it can be shown there
}

func newReplacerLayer(below *caddy.Replacer) *replacerLayer {
	l := &replacerLayer{repl: caddy.NewReplacer()}
	l.repl.Map(func(key string) (any, bool) {
		// Files are the layer's own, so that they can be switched off in it.
		if l.closed.Load() || strings.HasPrefix(key, "file.") {
			return nil, false
		}
		return below.Get(key)
	})
	return l
}

// own returns what was set in a closed layer.
func (l *replacerLayer) own(key string) (any, bool) {
	if strings.HasPrefix(key, "file.") {
		return nil, false
	}
	return l.repl.Get(key)
}

// cloneVars gives the request a copy of Caddy's variables, in place, before
// anything sets one after the app was asked: see requestState.begin.
func cloneVars(r *http.Request) {
	if vars, ok := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any); ok {
		*r = *r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, maps.Clone(vars)))
	}
}
