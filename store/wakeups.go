package store

import "sync"

// Wakeups holds the channels of [Outbox.Filed] for a store of one process. The
// zero value is ready to use. Safe for concurrent use.
type Wakeups struct {
	mu sync.Mutex
	of map[string]chan struct{} // by listener; protected by mu
}

// Filed implements Outbox.Filed.
func (w *Wakeups) Filed(listener string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	filed, ok := w.of[listener]
	if !ok {
		if w.of == nil {
			w.of = make(map[string]chan struct{})
		}
		filed = make(chan struct{}, 1)
		w.of[listener] = filed
	}
	return filed
}

// Wake gives a value to the channels of the listeners, as far as they have
// room. It does not block.
func (w *Wakeups) Wake(listeners ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range listeners {
		if filed, ok := w.of[name]; ok {
			signal(filed)
		}
	}
}

// WakeAll gives a value to every channel.
func (w *Wakeups) WakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, filed := range w.of {
		signal(filed)
	}
}

// signal puts a value into a channel with room for one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
