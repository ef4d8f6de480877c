package event

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Subscriptions maps the events of one open store to its listeners. During a
// reload there are two configurations: events are filed for the listeners of
// both, and delivered to that of the later one if both have one of a name.
// Safe for concurrent use.
type Subscriptions struct {
	mu      sync.Mutex // protects what follows
	configs []*subscriptionSet
	changed chan struct{}            // closed when the configurations change
	wakeups map[string]chan struct{} // has a value when an event may have been filed
}

// subscriptionSet holds the subscriptions of one configuration, by manager.
type subscriptionSet struct {
	of     map[string][]Subscription
	ctx    context.Context // until the configuration is gone
	cancel context.CancelFunc
}

// NewSubscriptions returns an empty one.
func NewSubscriptions() *Subscriptions {
	return &Subscriptions{changed: make(chan struct{}), wakeups: make(map[string]chan struct{})}
}

// Add adds a configuration's subscriptions, by manager, until done is called.
// Sessions of a manager that no configuration names end without an event. A
// configuration without listeners adds an empty map: before the first Add no
// session is ended.
//
// After done no event is delivered to the configuration's listeners. done
// cancels the attempts under way, and does not wait for them.
func (l *Subscriptions) Add(byManager map[string][]Subscription) (done func()) {
	c := &subscriptionSet{of: maps.Clone(byManager)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.configs = append(l.configs, c)
	l.change()
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if i := slices.Index(l.configs, c); i >= 0 {
			l.configs = slices.Delete(l.configs, i, i+1)
			c.cancel()
			l.change()
		}
	}
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

// EndListeners returns the names of the subscriptions to the ends of the
// manager's sessions.
func (l *Subscriptions) EndListeners(manager string) []string {
	return l.SubscribersOf(manager, Delete)
}

// SubscribersOf returns the names of the subscriptions to a kind of events of
// the manager's sessions.
func (l *Subscriptions) SubscribersOf(manager string, kind Kind) (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.configs {
		for _, name := range SubscribersOf(c.of[manager], kind) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
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

// Notify wakes the delivery to the listeners of those names; without names, to
// all of them.
func (l *Subscriptions) Notify(names ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(names) == 0 {
		for _, filed := range l.wakeups {
			signal(filed)
		}
	}
	for _, name := range names {
		if filed, ok := l.wakeups[name]; ok {
			signal(filed)
		}
	}
}

// Wakeups returns the channel that has a value after Notify. There is one for
// each name.
func (l *Subscriptions) Wakeups(name string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	filed, ok := l.wakeups[name]
	if !ok {
		filed = make(chan struct{}, 1)
		l.wakeups[name] = filed
	}
	return filed
}

// signal puts a value into a channel with room for one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
