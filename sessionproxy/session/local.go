package session

import (
	"slices"
	"sync"

	"github.com/sessionproxy/sessionproxy/store"
)

// Local is what one process keeps beside a store: the locks of its sessions,
// the long responses that show them, and who hears of them. Like the store it
// outlives managers, which come and go with each configuration. Safe for
// concurrent use.
type Local struct {
	Locks     *Locks
	Streams   *Streams
	Listeners *Listeners

	mu       sync.Mutex // protects watchers
	watchers []*watch
}

// watch is somebody who sees events of this process as they happen.
type watch struct{ see func(Event) }

// NewLocal returns what belongs beside a store. If the store is Observable it
// is observed from now on: what ends in it ends its open responses.
func NewLocal(s store.Store) *Local {
	l := &Local{Locks: NewLocks(), Streams: NewStreams(), Listeners: NewListeners()}
	if o, ok := s.(store.Observable); ok {
		o.Observe(l.ended)
	}
	return l
}

// ended follows the end of a session, whatever ended it.
func (l *Local) ended(e store.Ended) {
	l.Streams.End(e.Key)
	l.show(Event{Kind: EventDelete, Manager: e.Key.Manager, Session: e.Key.ID, Reason: e.Reason, Principal: e.Principal})
}

// Watch has see called with every event of this process as it happens, at
// most once and without data, until done is called. see must be quick, and may
// be called from several goroutines at once. It is for counting and for logs;
// who has to know for certain is a Listener.
func (l *Local) Watch(see func(Event)) (done func()) {
	w := &watch{see}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers = append(slices.Clip(l.watchers), w)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if i := slices.Index(l.watchers, w); i >= 0 {
			l.watchers = slices.Delete(slices.Clone(l.watchers), i, i+1)
		}
	}
}

// show tells the watchers.
func (l *Local) show(e Event) {
	l.mu.Lock()
	watchers := l.watchers // never changed in place
	l.mu.Unlock()
	for _, w := range watchers {
		w.see(e)
	}
}
