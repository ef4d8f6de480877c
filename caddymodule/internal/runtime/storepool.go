package runtime

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/sessionproxy/delivery"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// StoreProvider is what a guest module in the namespace `sessions.stores`
// implements, beside caddy.Module. It describes a store; the store itself
// lives longer than the configuration that first asked for it.
type StoreProvider interface {
	// PoolKey identifies the store that the configuration means. All
	// configurations with one key share one open store, tunables aside.
	PoolKey() string
	// Open opens the store. It is called for one key at a time, and never
	// while an earlier store of that key is still open or closing in this
	// process. The store must not keep what belongs to the module's context.
	Open(*zap.Logger) (OpenStore, error)
	// CompatibleWith returns an error that names the option, if a store
	// that was opened by the other provider of the same key cannot serve
	// this one.
	CompatibleWith(other StoreProvider) error
}

// OpenStore is a store that is closed once, after its last user has left.
type OpenStore interface {
	store.Store
	io.Closer
}

// PooledStore is an open store and what belongs to it and not to one configuration.
type PooledStore struct {
	Provider StoreProvider
	Store    OpenStore
	lent     store.Store // the same, measured, for requests
	Node     *session.Node
	Delivery *delivery.Service
	emitters emitters
	lifetime *sync.Mutex
	patience atomic.Int64 // how long the close may take, in nanoseconds; 0 if no configuration says
}

// patientStore is a store whose close can be bounded.
type patientStore interface {
	// CloseWithin closes the store. It returns after that time at the
	// latest, with an error if the store is not closed by then.
	CloseWithin(time.Duration) error
}

// AcquireStore opens the provider's store, or takes a reference to the one
// that is open. Each success needs one ReleaseStore.
func AcquireStore(p StoreProvider) (*PooledStore, error) {
	v, shared, err := process.stores.LoadOrNew(p.PoolKey(), func() (caddy.Destructor, error) {
		return openDatabase(p)
	})
	if err != nil {
		return nil, err
	}
	db := v.(*PooledStore)
	if !shared {
		warnOfOthers(p)
	} else {
		if err := p.CompatibleWith(db.Provider); err != nil {
			_ = ReleaseStore(p) // there is another reference, so nothing closes here
			return nil, err
		}
	}
	return db, nil
}

// warnOfOthers says that a reload has opened another store than the one before.
func warnOfOthers(p StoreProvider) {
	process.stores.Range(func(key, _ any) bool {
		if key != p.PoolKey() {
			liveLogger(AppID).Warn("this configuration uses another session store than the one before: sessions that are there are not found any more",
				zap.String("store", p.PoolKey()), zap.Any("before", key))
		}
		return true
	})
}

// ReleaseStore gives back a reference. The last one closes the store.
func ReleaseStore(p StoreProvider) error {
	_, err := process.stores.Delete(p.PoolKey())
	return err
}

// IsOpen reports whether this process holds the store of that pool key.
func IsOpen(key string) bool {
	_, ok := process.stores.References(key)
	return ok
}

func openDatabase(p StoreProvider) (*PooledStore, error) {
	m, _ := process.lifetimes.LoadOrStore(p.PoolKey(), new(sync.Mutex))
	lifetime := m.(*sync.Mutex)
	lifetime.Lock()
	st, err := p.Open(liveLogger(StoreNamespace))
	if err != nil {
		lifetime.Unlock()
		return nil, fmt.Errorf("opening session store: %w", err)
	}
	lent := process.metrics.Store(st)
	node := session.NewNode(lent)
	node.Events.Subscribe(process.metrics.ObserveEvent)
	node.Events.Subscribe(process.audit.onEvent)
	service := delivery.Start(node.Features, node.Subscriptions, node.Events, delivery.Options{Observer: deliveryObserver(liveLogger(AppID))})
	return &PooledStore{Provider: p, Store: st, lent: lent, Node: node, Delivery: service, lifetime: lifetime}, nil
}

// BoundClose says how long closing the store may take; 0 sets no bound.
func (d *PooledStore) BoundClose(within time.Duration) { d.patience.Store(int64(within)) }

// Destruct closes the store. The pool calls it when the last reference is gone.
func (d *PooledStore) Destruct() error {
	defer d.lifetime.Unlock()
	closeStore := d.Store.Close
	if st, ok := d.Store.(patientStore); ok && d.patience.Load() > 0 {
		closeStore = func() error { return st.CloseWithin(time.Duration(d.patience.Load())) }
	}
	if err := errors.Join(d.Delivery.Close(), closeStore()); err != nil {
		return fmt.Errorf("closing session store: %w", err)
	}
	return nil
}
