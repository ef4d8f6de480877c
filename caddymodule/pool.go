package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

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

// databases holds every open store of the process, with a reference for each
// configuration that uses it: during a reload there are two.
var databases = caddy.NewUsagePool()

// lifetimes holds a *sync.Mutex for each pool key. It is locked from before
// the store opens until after it has closed: the pool forgets a store before
// closing it, so that the next one of that key would meet it half open.
var lifetimes sync.Map

// database is an open store and what belongs to it and not to one configuration.
type database struct {
	provider StoreProvider
	store    OpenStore
	lent     store.Store // the same, measured, for requests
	local    *session.Local
	keeper   *session.Keeper
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

// acquireDatabase opens the provider's store, or takes a reference to the one
// that is open. Each success needs one releaseDatabase.
func acquireDatabase(p StoreProvider) (*database, error) {
	v, shared, err := databases.LoadOrNew(p.PoolKey(), func() (caddy.Destructor, error) {
		return openDatabase(p)
	})
	if err != nil {
		return nil, err
	}
	db := v.(*database)
	if !shared {
		warnOfOthers(p)
	} else {
		if err := p.CompatibleWith(db.provider); err != nil {
			_ = releaseDatabase(p) // there is another reference, so nothing closes here
			return nil, err
		}
	}
	return db, nil
}

// warnOfOthers says that a reload has opened another store than the one before.
func warnOfOthers(p StoreProvider) {
	databases.Range(func(key, _ any) bool {
		if key != p.PoolKey() {
			liveLogger(appID).Warn("this configuration uses another session store than the one before: sessions that are there are not found any more",
				zap.String("store", p.PoolKey()), zap.Any("before", key))
		}
		return true
	})
}

func releaseDatabase(p StoreProvider) error {
	_, err := databases.Delete(p.PoolKey())
	return err
}

// isOpen reports whether somebody in this process holds the provider's store.
func isOpen(p StoreProvider) bool {
	_, ok := databases.References(p.PoolKey())
	return ok
}

func openDatabase(p StoreProvider) (*database, error) {
	m, _ := lifetimes.LoadOrStore(p.PoolKey(), new(sync.Mutex))
	lifetime := m.(*sync.Mutex)
	lifetime.Lock()
	st, err := p.Open(liveLogger(storeNamespace))
	if err != nil {
		lifetime.Unlock()
		return nil, fmt.Errorf("opening session store: %w", err)
	}
	local := session.NewLocal(st)
	local.Watch(metrics.See)
	local.Watch(audit.see)
	keeper := session.StartKeeper(st, local, session.KeeperOptions{Reports: keepingReports(liveLogger(appID))})
	return &database{provider: p, store: st, lent: metrics.Store(st), local: local, keeper: keeper, lifetime: lifetime}, nil
}

// Destruct closes the store. The pool calls it when the last reference is gone.
func (d *database) Destruct() error {
	defer d.lifetime.Unlock()
	closeStore := d.store.Close
	if st, ok := d.store.(patientStore); ok && d.patience.Load() > 0 {
		closeStore = func() error { return st.CloseWithin(time.Duration(d.patience.Load())) }
	}
	if err := errors.Join(d.keeper.Close(), closeStore()); err != nil {
		return fmt.Errorf("closing session store: %w", err)
	}
	return nil
}
