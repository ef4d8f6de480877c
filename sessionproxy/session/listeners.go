package session

import (
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
	changed chan struct{} // closed when the configurations change
	filed   chan struct{} // has a value when something may have been filed
}

// listening is what one configuration says, by manager.
type listening struct {
	of map[string][]Subscription
}

// NewListeners returns one that knows nobody.
func NewListeners() *Listeners {
	return &Listeners{changed: make(chan struct{}), filed: make(chan struct{}, 1)}
}

// Use adds a configuration's listeners, by manager, until done is called. A
// manager that no configuration names has none: its sessions end without
// telling anybody.
func (l *Listeners) Use(byManager map[string][]Subscription) (done func()) {
	c := &listening{of: maps.Clone(byManager)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.configs = append(l.configs, c)
	l.change()
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if i := slices.Index(l.configs, c); i >= 0 {
			l.configs = slices.Delete(l.configs, i, i+1)
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

// HearEnds returns the names of those who hear that sessions of the manager end.
func (l *Listeners) HearEnds(manager string) (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.configs {
		for _, name := range hear(c.of[manager], EventDelete) {
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

// Wake says that something may have been filed for a listener.
func (l *Listeners) Wake() {
	select {
	case l.filed <- struct{}{}:
	default:
	}
}

// Filed returns the channel that has a value after Wake.
func (l *Listeners) Filed() <-chan struct{} { return l.filed }
