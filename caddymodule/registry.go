package caddymodule

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// registry knows the managers of one configuration, or of one Caddyfile while
// it is adapted. Safe for concurrent use.
type registry struct {
	mu       sync.Mutex
	managers map[string]registration                 // by id
	cookies  map[string]registration                 // by each name that a ticket cookie can have, in lower case: some apps ignore case
	headers  map[string]registration                 // by each name of a header that carries a ticket, in canonical form
	hearers  map[string][]session.Subscription       // by manager, of those whose listeners are loaded
	built    map[string]*session.Manager             // by id
	carrying atomic.Pointer[map[string]registration] // headers, as of the last add
}

// registration is what one handler says about its manager.
type registration struct {
	manager string
	policy  string   // normalised JSON: equal text is an equal policy
	cookies []string // every name that the ticket cookie can have
	headers []string // the names of headers that carry the ticket, in canonical form
	place   string   // where it is configured, for messages
}

func newRegistry() *registry {
	r := &registry{
		managers: make(map[string]registration), cookies: make(map[string]registration), headers: make(map[string]registration),
		hearers: make(map[string][]session.Subscription), built: make(map[string]*session.Manager),
	}
	r.carrying.Store(&map[string]registration{})
	return r
}

// add registers a handler. The same manager may come again, from another
// route, if its policy is the same one; the name of a ticket cookie, or of a
// ticket header, belongs to one manager.
func (r *registry) add(n registration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o, ok := r.managers[n.manager]; ok {
		if o.policy != n.policy {
			return fmt.Errorf("session manager '%s' has another policy at %s than at %s: they differ in %s; give both the same, or one of them another name",
				n.manager, n.place, o.place, strings.Join(differences(n.policy, o.policy), ", "))
		}
		return nil
	}
	for _, name := range n.cookies {
		if o, ok := r.cookies[strings.ToLower(name)]; ok {
			return fmt.Errorf("ticket cookie '%s' of session manager '%s' at %s is also that of '%s' at %s; give one of them another name", name, n.manager, n.place, o.manager, o.place)
		}
	}
	for _, name := range n.headers {
		if o, ok := r.headers[name]; ok {
			return fmt.Errorf("ticket header '%s' of session manager '%s' at %s is also that of '%s' at %s; give one of them another name", name, n.manager, n.place, o.manager, o.place)
		}
	}
	r.managers[n.manager] = n
	for _, name := range n.cookies {
		r.cookies[strings.ToLower(name)] = n
	}
	for _, name := range n.headers {
		r.headers[name] = n
	}
	if len(n.headers) > 0 {
		headers := maps.Clone(r.headers)
		r.carrying.Store(&headers)
	}
	return nil
}

// subscribe returns the subscriptions of a manager. The first call for it
// loads them.
func (r *registry) subscribe(manager string, load func() ([]session.Subscription, error)) ([]session.Subscription, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if subs, ok := r.hearers[manager]; ok {
		return subs, nil
	}
	subs, err := load()
	if err != nil {
		return nil, err
	}
	r.hearers[manager] = subs
	return subs, nil
}

// subscriptions returns those of all managers, by manager.
func (r *registry) subscriptions() map[string][]session.Subscription {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.hearers)
}

// made notes the manager that a registration led to.
func (r *registry) made(m *session.Manager) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.built[m.ID()] = m
}

// fits refuses a store that cannot do what a manager needs.
func (r *registry) fits(st store.Store) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(r.built)) {
		if err := r.built[id].Suits(st); err != nil {
			return fmt.Errorf("%w, at %s; remove the option, or take another store", err, r.managers[id].place)
		}
	}
	return nil
}

// ticketHeaders returns those of the headers that carry tickets, of any
// manager; nil if there is none.
func (r *registry) ticketHeaders(h http.Header) (own http.Header) {
	carrying := *r.carrying.Load()
	if len(carrying) == 0 {
		return nil
	}
	for name, values := range h {
		if _, ok := carrying[name]; ok {
			if own == nil {
				own = make(http.Header)
			}
			own[name] = values
		}
	}
	return own
}

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
