package session

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

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

	mu       sync.Mutex // held to change watchers, whose values never change
	watchers atomic.Pointer[[]*watch]
}

// watch is somebody who sees events of this process as they happen.
type watch struct{ see func(Event) }

// NewLocal returns what belongs beside a store. If the store is Observable it
// is observed from now on: what ends in it ends its open responses.
func NewLocal(s store.Store) *Local {
	l := &Local{Locks: NewLocks(), Streams: NewStreams(), Listeners: NewListeners()}
	l.watchers.Store(new([]*watch))
	if o, ok := s.(store.Observable); ok {
		o.Observe(l.ended)
	}
	return l
}

// ended follows the end of a session, whatever ended it.
func (l *Local) ended(e store.Ended) {
	l.Streams.End(e.Key)
	if !l.watched() {
		return
	}
	l.show(Event{
		Kind: EventDelete, Manager: e.Key.Manager, Session: e.Key.ID,
		At: time.Now(), Reason: e.Reason, Principal: e.Principal,
	})
}

// Watch has see called with every event of this process as it happens, at
// most once and without data, until done is called. EventSave names keys only
// if a listener of the manager hears of saves. see must be quick, must not use
// the session or the store, and may be called from several goroutines at once.
// It is for counting and for logs; who has to know for certain is a Listener.
func (l *Local) Watch(see func(Event)) (done func()) {
	w := &watch{see}
	l.mu.Lock()
	defer l.mu.Unlock()
	watchers := append(slices.Clone(*l.watchers.Load()), w)
	l.watchers.Store(&watchers)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		others := slices.DeleteFunc(slices.Clone(*l.watchers.Load()), func(o *watch) bool { return o == w })
		l.watchers.Store(&others)
	}
}

// watched reports whether anybody watches.
func (l *Local) watched() bool { return len(*l.watchers.Load()) > 0 }

// show tells the watchers.
func (l *Local) show(e Event) {
	for _, w := range *l.watchers.Load() {
		w.see(e)
	}
}
