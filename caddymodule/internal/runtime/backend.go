package runtime

import (
	"sync"

	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// Backend lends one configuration's store to its requests. It holds one
// reference to the open store, from the first need until the configuration is
// gone and its last request has released what it acquired. A request that an
// old configuration begins to serve even later opens it once more for itself.
type Backend struct {
	provider StoreProvider
	logger   *zap.Logger

	// mu protects what follows. It is held while the store opens, so that
	// all first users wait for one opening, and never while it closes.
	mu       sync.Mutex
	db       *PooledStore // nil while no reference is held
	users    int          // requests between Acquire and Release
	released bool         // the configuration is gone
	failed   error        // why the store could not be opened; not tried again
}

// NewBackend returns that of one configuration. It opens nothing.
func NewBackend(p StoreProvider, logger *zap.Logger) *Backend {
	return &Backend{provider: p, logger: logger}
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
	err := b.acquire()
	return b.db, err
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
	if err := b.acquire(); err != nil {
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
	b.db = nil
	return true
}
