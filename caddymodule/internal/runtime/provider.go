package runtime

import (
	"sync"

	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// Provider lends one configuration's store to its requests. It holds one
// reference to the open store, from the first need until the configuration is
// gone and its last request has released what it acquired. A request that an
// old configuration begins to serve even later opens it once more for itself.
type Provider struct {
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

// NewProvider returns that of one configuration. It opens nothing. listeners
// returns the subscriptions of its managers once it is provisioned, and is nil if there are none: the store
// keeps events for them as long as the provider holds it and was used, also of
// requests that come before the configuration has started.
func NewProvider(p StoreProvider, listeners func() map[string][]event.Subscription, logger *zap.Logger) *Provider {
	return &Provider{provider: p, listeners: listeners, logger: logger}
}

// Adopt takes a reference if this process has the store open, and opens nothing.
func (p *Provider) Adopt() error {
	if !IsOpen(p.provider.PoolKey()) {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acquire()
}

// Open returns the store, which stays open until Close.
func (p *Provider) Open() (*PooledStore, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.use(); err != nil {
		return nil, err
	}
	return p.db, nil
}

// use makes sure that db is set and knows the listeners. Called with mu held.
func (p *Provider) use() error {
	err := p.acquire()
	if err == nil && p.declared == nil && p.listeners != nil {
		p.declared = p.db.Node.Subscriptions.Declare(p.listeners())
	}
	return err
}

// acquire makes sure that db is set. Called with mu held.
func (p *Provider) acquire() error {
	if p.db != nil || p.failed != nil {
		return p.failed
	}
	p.db, p.failed = AcquireStore(p.provider)
	return p.failed
}

// Acquire lends the store, and opens it if it is not open.
func (p *Provider) Acquire() (store.Store, *session.Node, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.use(); err != nil {
		return nil, nil, err
	}
	p.users++
	return p.db.lent, p.db.Node, nil
}

// Release ends an Acquire. The last user of a configuration that is gone gives
// the reference back; closing may take seconds, so its request does not wait.
func (p *Provider) Release() {
	p.mu.Lock()
	p.users--
	last := p.drop()
	p.mu.Unlock()
	if last {
		go func() {
			if err := ReleaseStore(p.provider); err != nil {
				p.logger.Error("session store did not close well", zap.Error(err))
			}
		}()
	}
}

// Close says that the configuration is gone. Without requests in flight the
// reference is given back before it returns. Idempotent.
func (p *Provider) Close() error {
	p.mu.Lock()
	p.released = true
	last := p.drop()
	p.mu.Unlock()
	if last {
		return ReleaseStore(p.provider)
	}
	return nil
}

// drop forgets the store if nothing needs it any more, and reports whether the
// caller has to give back the reference. Called with mu held.
func (p *Provider) drop() bool {
	if !p.released || p.users > 0 || p.db == nil {
		return false
	}
	if p.db = nil; p.declared != nil {
		p.declared()
		p.declared = nil
	}
	return true
}
