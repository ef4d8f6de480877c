package event

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Subscriptions maps the events of one open store to its listeners. During a
// reload there are two configurations: events are stored for the listeners of
// both, and delivered to that of the later one if both have one of a name.
// Safe for concurrent use.
type Subscriptions struct {
	mu       sync.Mutex // protects what follows
	configs  []*subscriptionSet
	declared []*subscriptionSet // only to store events for
	changed  chan struct{}      // closed when the configurations change

	// names has the subscribers of each kind of events. What it points to never
	// changes: requests and the writer of the store read it.
	names atomic.Pointer[map[subject][]string]
}

// subject is what a listener subscribes to.
type subject struct {
	manager string
	kind    Kind
}

// subscriptionSet holds the subscriptions of one configuration, by manager.
type subscriptionSet struct {
	of     map[string][]Subscription
	ctx    context.Context // until the configuration is gone
	cancel context.CancelFunc
}

// NewSubscriptions returns an empty one.
func NewSubscriptions() *Subscriptions {
	l := &Subscriptions{changed: make(chan struct{})}
	l.names.Store(new(map[subject][]string))
	return l
}

// Add adds a configuration's subscriptions, by manager, until done is called.
// Sessions of a manager that no configuration names end without an event. A
// configuration without listeners adds an empty map: before the first Add no
// session is ended.
//
// After done no event is delivered to the configuration's listeners. done
// cancels the attempts under way, and does not wait for them. Nor is any stored
// for them, unless they are still declared: see Declare.
func (l *Subscriptions) Add(byManager map[string][]Subscription) (done func()) {
	c := &subscriptionSet{of: maps.Clone(byManager)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.configs = append(l.configs, c)
	l.index()
	l.change()
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if i := slices.Index(l.configs, c); i >= 0 {
			l.configs = slices.Delete(l.configs, i, i+1)
			c.cancel()
			l.index()
			l.change()
		}
	}
}

// Declare has the store keep events for a configuration's listeners until done
// is called, whether or not it delivers to them. Requests can come before Add
// has been called, and end after its end: what they do is delivered later.
func (l *Subscriptions) Declare(byManager map[string][]Subscription) (done func()) {
	c := &subscriptionSet{of: maps.Clone(byManager)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.declared = append(l.declared, c)
	l.index()
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.declared = slices.DeleteFunc(l.declared, func(o *subscriptionSet) bool { return o == c })
		l.index()
	}
}

// index finds the subscribers of each kind of events. Called with mu held.
func (l *Subscriptions) index() {
	names := make(map[subject][]string)
	for _, c := range slices.Concat(l.configs, l.declared) {
		for manager, subs := range c.of {
			for _, s := range subs {
				for _, kind := range s.Kinds {
					if at := (subject{manager, kind}); !slices.Contains(names[at], s.Name) {
						names[at] = append(names[at], s.Name)
					}
				}
			}
		}
	}
	l.names.Store(&names)
}

// change closes the channel of Changed. Called with mu held.
func (l *Subscriptions) change() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// Changed returns a channel that is closed at the next change.
func (l *Subscriptions) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// Configured reports whether there is a configuration.
func (l *Subscriptions) Configured() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.configs) > 0
}

// SubscribersOf returns the names of the subscriptions to a kind of events of
// the manager's sessions: not to be changed. It takes no lock.
func (l *Subscriptions) SubscribersOf(manager string, kind Kind) []string {
	return (*l.names.Load())[subject{manager, kind}]
}

// All returns every subscription, by name.
func (l *Subscriptions) All() map[string]Subscription {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]Subscription)
	for _, c := range l.configs { // a later one replaces an earlier one
		for _, subs := range c.of {
			for _, s := range subs {
				all[s.Name] = s
			}
		}
	}
	return all
}

// Find returns the listener that has the name now, with the context of its
// configuration; nil if there is none.
func (l *Subscriptions) Find(name string) (Listener, context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range slices.Backward(l.configs) {
		for _, subs := range c.of {
			for _, s := range subs {
				if s.Name == name {
					return s.Listener, c.ctx
				}
			}
		}
	}
	return nil, nil
}
