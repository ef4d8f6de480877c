package session

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Listeners knows who hears of which sessions, for one open store. During a
// reload two configurations have a say: both are told of what happens, and
// what is told goes to the later one where both have a listener of one name.
// Safe for concurrent use.
type Listeners struct {
	mu      sync.Mutex // protects what follows
	configs []*listening
	changed chan struct{}            // closed when the configurations change
	filed   map[string]chan struct{} // has a value when something may have been filed
}

// listening is what one configuration says, by manager.
type listening struct {
	of    map[string][]Subscription
	lives context.Context // until the configuration is gone
	end   context.CancelFunc
}

// NewListeners returns one that knows nobody.
func NewListeners() *Listeners {
	return &Listeners{changed: make(chan struct{}), filed: make(map[string]chan struct{})}
}

// Use adds a configuration's listeners, by manager, until done is called. A
// manager that no configuration names has none: its sessions end without
// telling anybody. A configuration without any listener says so by an empty
// map: until the first one has a say a Keeper ends no session.
//
// After done no listener of the configuration is told anything, and what is
// being told is cancelled; done does not wait for that.
func (l *Listeners) Use(byManager map[string][]Subscription) (done func()) {
	c := &listening{of: maps.Clone(byManager)}
	c.lives, c.end = context.WithCancel(context.Background())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.configs = append(l.configs, c)
	l.change()
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if i := slices.Index(l.configs, c); i >= 0 {
			l.configs = slices.Delete(l.configs, i, i+1)
			c.end()
			l.change()
		}
	}
}

// change tells those who wait by Changed. Called with mu held.
func (l *Listeners) change() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// Changed returns a channel that is closed at the next change.
func (l *Listeners) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// Configured reports whether any configuration has a say.
func (l *Listeners) Configured() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.configs) > 0
}

// HearEnds returns the names of those who hear that sessions of the manager end.
func (l *Listeners) HearEnds(manager string) []string { return l.hear(manager, EventDelete) }

func (l *Listeners) hear(manager string, kind EventKind) (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.configs {
		for _, name := range hear(c.of[manager], kind) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// All returns every subscription, by name.
func (l *Listeners) All() map[string]Subscription {
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

// find returns who is told now by that name, and how long its configuration
// lives; nil if nobody has the name.
func (l *Listeners) find(name string) (Listener, context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range slices.Backward(l.configs) {
		for _, subs := range c.of {
			for _, s := range subs {
				if s.Name == name {
					return s.Listener, c.lives
				}
			}
		}
	}
	return nil, nil
}

// Wake says that something may have been filed for the listeners of those
// names; without names, for any.
func (l *Listeners) Wake(names ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(names) == 0 {
		for _, filed := range l.filed {
			signal(filed)
		}
	}
	for _, name := range names {
		if filed, ok := l.filed[name]; ok {
			signal(filed)
		}
	}
}

// wakened returns the channel that has a value after Wake. There is one for
// each name.
func (l *Listeners) wakened(name string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	filed, ok := l.filed[name]
	if !ok {
		filed = make(chan struct{}, 1)
		l.filed[name] = filed
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
