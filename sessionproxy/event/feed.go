package event

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Feed publishes the events of one process to functions of the same process,
// as they happen: at most once, and without data. It is for counting and for
// logs; what must not miss an event is a Listener. Safe for concurrent use.
type Feed struct {
	mu          sync.Mutex // held to change subscribers, whose values never change
	subscribers atomic.Pointer[[]*feedSubscriber]
}

type feedSubscriber struct{ onEvent func(Event) }

// NewFeed returns a feed without subscribers.
func NewFeed() *Feed {
	f := new(Feed)
	f.subscribers.Store(new([]*feedSubscriber))
	return f
}

// Subscribe has onEvent called with every event until done is called. An event
// of kind Save names keys only if a listener of the manager subscribes to it.
// onEvent must be quick, must not use the session or the store, and may be
// called from several goroutines at once.
func (f *Feed) Subscribe(onEvent func(Event)) (done func()) {
	s := &feedSubscriber{onEvent}
	f.mu.Lock()
	defer f.mu.Unlock()
	all := append(slices.Clone(*f.subscribers.Load()), s)
	f.subscribers.Store(&all)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		others := slices.DeleteFunc(slices.Clone(*f.subscribers.Load()), func(o *feedSubscriber) bool { return o == s })
		f.subscribers.Store(&others)
	}
}

// HasSubscribers reports whether Publish would call anything.
func (f *Feed) HasSubscribers() bool { return len(*f.subscribers.Load()) > 0 }

// Publish calls the subscribers.
func (f *Feed) Publish(e Event) {
	for _, s := range *f.subscribers.Load() {
		s.onEvent(e)
	}
}
