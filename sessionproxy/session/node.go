package session

import (
	"context"
	"errors"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
	"github.com/sessionproxy/sessionproxy/store"
)

// Node is what one process keeps beside a store: the locks of its sessions,
// the long responses that show them, and the subscriptions to their events.
// Like the store it outlives managers, which come and go with each
// configuration. Safe for concurrent use.
type Node struct {
	Locks         *lock.Locks
	Streams       *Streams
	Features      *store.Features      // what the store can do
	Subscriptions *event.Subscriptions // of listeners, by their configurations
	Events        *event.Feed          // to functions of this process

	leases *lock.Leases // nil if the store gives none
}

// NewNode returns what belongs beside a store, as requests use it, before it is
// used. If the store
// is Observable it is observed from now on: the end of a session ends its open
// responses. If it has an Outbox it stores events for Subscriptions.
func NewNode(s store.Store) *Node {
	f := store.FeaturesOf(s)
	n := &Node{Features: f, Locks: lock.NewLocks(), Streams: NewStreams(), Subscriptions: event.NewSubscriptions(), Events: event.NewFeed()}
	if f.Observable != nil {
		f.Observable.Observe(n.ended)
	}
	if f.Leaser != nil {
		n.leases = lock.NewLeases(f.Leaser)
	}
	if f.Outbox != nil {
		f.Outbox.Subscribe(func(manager string, kind store.EventKind) []string {
			return n.Subscriptions.SubscribersOf(manager, event.Kind(kind))
		})
	}
	return n
}

// ended follows the end of a session, whatever ended it.
func (n *Node) ended(e store.Ended) {
	n.Streams.End(e.Key)
	if !n.Events.HasSubscribers() {
		return
	}
	n.Events.Publish(event.Event{
		Kind: event.Delete, Manager: e.Key.Manager, Session: e.Key.ID,
		At: time.Now(), Reason: e.Reason, Principal: e.Principal,
	})
}

// end ends a session and its open responses.
func (n *Node) end(ctx context.Context, st store.Store, key store.Key, reason store.Reason) error {
	if err := twice(func() error { return st.Delete(ctx, key, reason) }); err != nil {
		return err
	}
	n.Streams.End(key) // a store that is Observable has done so
	return nil
}

// twice repeats a write once if its outcome is not known. The store recognizes
// the repetition of a save by its version, and of a delete by what is gone.
func twice(write func() error) error {
	err := write()
	if errors.Is(err, store.ErrUnknown) {
		err = write()
	}
	return err
}
