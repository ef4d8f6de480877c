package caddymodule

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

// registry knows the managers of one configuration, or of one Caddyfile while
// it is adapted. Safe for concurrent use.
type registry struct {
	mu       sync.Mutex
	managers map[string]registration // by id
	cookies  map[string]registration // by each name that a ticket cookie can have, in lower case: some apps ignore case
	names    atomic.Pointer[ticket.Names]
}

// registration is what one handler says about its manager.
type registration struct {
	manager string
	policy  string   // normalised JSON: equal text is an equal policy
	cookies []string // every name that the ticket cookie can have
	place   string   // where it is configured, for messages
}

func newRegistry() *registry {
	r := &registry{managers: make(map[string]registration), cookies: make(map[string]registration)}
	r.names.Store(new(ticket.Names))
	return r
}

// add registers a handler. The same manager may come again, from another
// route, if its policy is the same one; a cookie name belongs to one manager.
func (r *registry) add(n registration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o, ok := r.managers[n.manager]; ok {
		if o.policy != n.policy {
			return fmt.Errorf("session manager '%s' has another policy at %s than at %s; give both the same, or one of them another name", n.manager, n.place, o.place)
		}
		return nil
	}
	for _, name := range n.cookies {
		if o, ok := r.cookies[strings.ToLower(name)]; ok {
			return fmt.Errorf("ticket cookie '%s' of session manager '%s' at %s is also that of '%s' at %s; give one of them another name", name, n.manager, n.place, o.manager, o.place)
		}
	}
	r.managers[n.manager] = n
	for _, name := range n.cookies {
		r.cookies[strings.ToLower(name)] = n
	}
	names := ticket.NewNames(slices.Collect(maps.Keys(r.cookies))...)
	r.names.Store(&names)
	return nil
}

// Names returns the names of all ticket cookies that are registered.
func (r *registry) Names() ticket.Names { return *r.names.Load() }

// has reports whether a manager is registered. A nil registry has none.
func (r *registry) has(manager string) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.managers[manager]
	return ok
}

// ids returns the managers that are registered. A nil registry has none.
func (r *registry) ids() []string {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.managers))
}
