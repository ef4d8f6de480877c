package runtime

import (
	"sync"

	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// Backend lends one configuration's store to its requests. It holds one
// reference to the open store, from the first need until the configuration is
// gone and its last request has released what it acquired. A request that an
// old configuration begins to serve even later opens it once more for itself.
type Backend struct {
	provider  StoreProvider
	listeners func() map[string][]event.Subscription
	logger    *zap.Logger

	// mu protects what follows. It is held while the store opens, so that
	// all first users wait for one opening, and never while it closes.
	mu       sync.Mutex
	db       *PooledStore // nil while no reference is held
	users    int          // requests between Acquire and Release
	declared func()       // ends the declaration of its listeners to db; nil without one
	released bool         // the configuration is gone
	failed   error        // why the store could not be opened; not tried again
}

// NewBackend returns that of one configuration. It opens nothing. listeners
// returns the subscriptions of its managers once it is provisioned, and is nil if there are none: the store
// keeps events for them as long as the backend holds it and was used, also of
// requests that come before the configuration has started.
func NewBackend(p StoreProvider, listeners func() map[string][]event.Subscription, logger *zap.Logger) *Backend {
	return &Backend{provider: p, listeners: listeners, logger: logger}
}

// Adopt takes a reference if this process has the store open, and opens nothing.
func (b *Backend) Adopt() error {
	if !IsOpen(b.provider.PoolKey()) {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.acquire()
}

// Open returns the store, which stays open until Close.
func (b *Backend) Open() (*PooledStore, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.use(); err != nil {
		return nil, err
	}
	return b.db, nil
}

// use makes sure that db is set and knows the listeners. Called with mu held.
func (b *Backend) use() error {
	err := b.acquire()
	if err == nil && b.declared == nil && b.listeners != nil {
		b.declared = b.db.Node.Subscriptions.Declare(b.listeners())
	}
	return err
}

// acquire makes sure that db is set. Called with mu held.
func (b *Backend) acquire() error {
	if b.db != nil || b.failed != nil {
		return b.failed
	}
	b.db, b.failed = AcquireStore(b.provider)
	return b.failed
}

// Acquire lends the store, and opens it if it is not open.
func (b *Backend) Acquire() (store.Store, *session.Node, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.use(); err != nil {
		return nil, nil, err
	}
	b.users++
	return b.db.lent, b.db.Node, nil
}

// Release ends an Acquire. The last user of a configuration that is gone gives
// the reference back; closing may take seconds, so its request does not wait.
func (b *Backend) Release() {
	b.mu.Lock()
	b.users--
	last := b.drop()
	b.mu.Unlock()
	if last {
		go func() {
			if err := ReleaseStore(b.provider); err != nil {
				b.logger.Error("session store did not close well", zap.Error(err))
			}
		}()
	}
}

// Close says that the configuration is gone. Without requests in flight the
// reference is given back before it returns. Idempotent.
func (b *Backend) Close() error {
	b.mu.Lock()
	b.released = true
	last := b.drop()
	b.mu.Unlock()
	if last {
		return ReleaseStore(b.provider)
	}
	return nil
}

// drop forgets the store if nothing needs it any more, and reports whether the
// caller has to give back the reference. Called with mu held.
func (b *Backend) drop() bool {
	if !b.released || b.users > 0 || b.db == nil {
		return false
	}
	if b.db = nil; b.declared != nil {
		b.declared()
		b.declared = nil
	}
	return true
}
