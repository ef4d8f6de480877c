package event

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Subscriptions knows who hears of which sessions, for one open store. During a
// reload two configurations have a say: both are told of what happens, and
// what is told goes to the later one where both have a listener of one name.
// Safe for concurrent use.
type Subscriptions struct {
	mu      sync.Mutex // protects what follows
	configs []*subscriptionSet
	changed chan struct{}            // closed when the configurations change
	wakeups map[string]chan struct{} // has a value when something may have been filed
}

// subscriptionSet is what one configuration says, by manager.
type subscriptionSet struct {
	of     map[string][]Subscription
	ctx    context.Context // until the configuration is gone
	cancel context.CancelFunc
}

// NewSubscriptions returns one that knows nobody.
func NewSubscriptions() *Subscriptions {
	return &Subscriptions{changed: make(chan struct{}), wakeups: make(map[string]chan struct{})}
}

// Add adds a configuration's listeners, by manager, until done is called. A
// manager that no configuration names has none: its sessions end without
// telling anybody. A configuration without any listener says so by an empty
// map: until the first one has a say a Keeper ends no session.
//
// After done no listener of the configuration is told anything, and what is
// being told is cancelled; done does not wait for that.
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

// change tells those who wait by Changed. Called with mu held.
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

// Configured reports whether any configuration has a say.
func (l *Subscriptions) Configured() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.configs) > 0
}

// EndListeners returns the names of those who hear that sessions of the manager end.
func (l *Subscriptions) EndListeners(manager string) []string {
	return l.SubscribersOf(manager, Delete)
}

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

// Find returns who is told now by that name, and how long its configuration
// lives; nil if nobody has the name.
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

// Notify says that something may have been filed for the listeners of those
// names; without names, for any.
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

// Wakeups returns the channel that has a value after Wake. There is one for
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
