package app

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// Registry knows the managers of one configuration, or of one Caddyfile while
// it is adapted. Safe for concurrent use.
type Registry struct {
	mu       sync.Mutex
	managers map[string]Registration                 // by id
	cookies  map[string]Registration                 // by each name that a ticket cookie can have, in lower case: some apps ignore case
	headers  map[string]Registration                 // by each name of a header that carries a ticket, in canonical form
	loaded   map[string][]event.Subscription         // by manager, of those whose listeners are loaded
	built    map[string]*session.Manager             // by id
	unknown  map[string][]string                     // names of cookies, by manager: see NoteUnknownCookie
	carrying atomic.Pointer[map[string]Registration] // headers, as of the last add
}

// Registration is what one handler says about its manager.
type Registration struct {
	Manager string
	Policy  Policy
	Cookies []string // every name that the ticket cookie can have
	Headers []string // the names of headers that carry the ticket, in canonical form
	Place   string   // where it is configured, for messages
}

// NewRegistry returns one without managers.
func NewRegistry() *Registry {
	r := &Registry{
		managers: make(map[string]Registration), cookies: make(map[string]Registration), headers: make(map[string]Registration),
		loaded: make(map[string][]event.Subscription), built: make(map[string]*session.Manager), unknown: make(map[string][]string),
	}
	r.carrying.Store(&map[string]Registration{})
	return r
}

// Add registers a handler. The same manager may come again, from another
// route, if its policy is the same one; the name of a ticket cookie, or of a
// ticket header, belongs to one manager.
func (r *Registry) Add(n Registration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o, ok := r.managers[n.Manager]; ok {
		if !o.Policy.Equal(n.Policy) {
			return fmt.Errorf("session manager '%s' has another policy at %s than at %s: they differ in %s; give both the same, or one of them another name",
				n.Manager, n.Place, o.Place, strings.Join(n.Policy.Differences(o.Policy), ", "))
		}
		return nil
	}
	for _, name := range n.Cookies {
		if o, ok := r.cookies[strings.ToLower(name)]; ok {
			return fmt.Errorf("ticket cookie '%s' of session manager '%s' at %s is also that of '%s' at %s; give one of them another name", name, n.Manager, n.Place, o.Manager, o.Place)
		}
	}
	for _, name := range n.Headers {
		if o, ok := r.headers[name]; ok {
			return fmt.Errorf("ticket header '%s' of session manager '%s' at %s is also that of '%s' at %s; give one of them another name", name, n.Manager, n.Place, o.Manager, o.Place)
		}
	}
	r.managers[n.Manager] = n
	for _, name := range n.Cookies {
		r.cookies[strings.ToLower(name)] = n
	}
	for _, name := range n.Headers {
		r.headers[name] = n
	}
	if len(n.Headers) > 0 {
		headers := maps.Clone(r.headers)
		r.carrying.Store(&headers)
	}
	return nil
}

// Subscribe returns the subscriptions of a manager. The first call for it
// loads them.
func (r *Registry) Subscribe(manager string, load func() ([]event.Subscription, error)) ([]event.Subscription, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if subs, ok := r.loaded[manager]; ok {
		return subs, nil
	}
	subs, err := load()
	if err != nil {
		return nil, err
	}
	r.loaded[manager] = subs
	return subs, nil
}

// subscriptions returns those of all managers, by manager.
func (r *Registry) subscriptions() map[string][]event.Subscription {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.loaded)
}

// AddBuilt notes the manager that a registration led to.
func (r *Registry) AddBuilt(m *session.Manager) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.built[m.ID()] = m
}

// checkStore refuses a store that cannot do what a manager needs.
func (r *Registry) checkStore(f *store.Features) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(r.built)) {
		if err := r.built[id].CheckStore(f); err != nil {
			return fmt.Errorf("%w, at %s; remove the option, or take another store", err, r.managers[id].Place)
		}
	}
	return nil
}

// NoteUnknownCookie notes the name of a cookie that browsers send and the
// manager's app never set. The caller bounds how many there are.
func (r *Registry) NoteUnknownCookie(manager, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.unknown[manager], name) {
		r.unknown[manager] = append(r.unknown[manager], name)
	}
}

// UnknownCookies returns the names that were noted for the manager, sorted. A
// nil registry has none.
func (r *Registry) UnknownCookies(manager string) []string {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(slices.Values(r.unknown[manager]))
}

// TicketHeaders returns those of the headers that carry tickets, of any
// manager; nil if there is none.
func (r *Registry) TicketHeaders(h http.Header) (own http.Header) {
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

// Has reports whether a manager is registered. A nil registry has none.
func (r *Registry) Has(manager string) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.managers[manager]
	return ok
}

// Ids returns the managers that are registered. A nil registry has none.
func (r *Registry) Ids() []string {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.managers))
}
