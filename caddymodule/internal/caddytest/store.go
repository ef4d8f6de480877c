package caddytest

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

func init() {
	caddy.RegisterModule(new(PreparedStore))
}

// PreparedStore is a store module for tests: it opens the store that the test
// has put under its name.
type PreparedStore struct {
	Name string `json:"name"`
}

// Prepared holds the stores of tests, by name.
var Prepared sync.Map

// CaddyModule returns the Caddy module information.
func (*PreparedStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: runtime.StoreNamespace + ".prepared", New: func() caddy.Module { return new(PreparedStore) }}
}

// UnmarshalCaddyfile reads the name.
func (p *PreparedStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.AllArgs(&p.Name) {
		return d.ArgErr()
	}
	return nil
}

// PoolKey is that of the name.
func (p *PreparedStore) PoolKey() string { return "prepared:" + p.Name }

// Open returns the store that was prepared.
func (p *PreparedStore) Open(*zap.Logger) (runtime.OpenStore, error) {
	st, ok := Prepared.Load(p.Name)
	if !ok {
		return nil, errors.New("nothing is prepared")
	}
	return st.(runtime.OpenStore), nil
}

// CompatibleWith accepts any other.
func (p *PreparedStore) CompatibleWith(runtime.StoreProvider) error { return nil }

// Prepare puts a store under a name of the test's own, and returns the line of
// the Caddyfile that means it.
func Prepare(t *testing.T, st runtime.OpenStore) string {
	t.Helper()
	name := t.Name()
	for n := 2; ; n++ {
		if _, taken := Prepared.LoadOrStore(name, st); !taken {
			break
		}
		name += "+"
	}
	t.Cleanup(func() { Prepared.Delete(name) })
	return `store prepared "` + name + `"`
}

// AbleStore has every ability of a store, and outlives its configurations.
type AbleStore struct {
	*memstore.Store
	updater   store.Updater
	now       func() time.Time
	Reported  store.Stats
	BackupBy  func(context.Context, io.Writer) error // instead of Memory's, if set
	CountsErr error
}

// Close does nothing: the store outlives its configurations.
func (s *AbleStore) Close() error { return nil }

// Stats returns what the test has set.
func (s *AbleStore) Stats() store.Stats { return s.Reported }

// Sweep judges by the test's clock, and not by that of the process.
func (s *AbleStore) Sweep(ctx context.Context, _ time.Time, n int) (int, bool, error) {
	return s.Store.Sweep(ctx, s.now(), n)
}

// Update changes one session.
func (s *AbleStore) Update(ctx context.Context, key store.Key, change func(store.Record) (store.Write, error)) (store.Record, error) {
	return s.updater.Update(ctx, key, change)
}

// Counts fails if the test says so.
func (s *AbleStore) Counts(ctx context.Context) ([]store.Count, error) {
	if s.CountsErr != nil {
		return nil, s.CountsErr
	}
	return s.Store.Counts(ctx)
}

// Backup writes what the test says.
func (s *AbleStore) Backup(ctx context.Context, w io.Writer) error {
	if s.BackupBy != nil {
		return s.BackupBy(ctx, w)
	}
	return s.Store.Backup(ctx, w)
}

// BareStore has no ability at all.
type BareStore struct{ store.Store }

// Close does nothing.
func (BareStore) Close() error { return nil }

// newAble returns such a store on a clock.
func newAble(now func() time.Time) *AbleStore {
	m := memstore.New(now)
	return &AbleStore{Store: m, updater: m.WithUpdater().(store.Updater), now: now}
}

// NewMemory prepares a store with every ability, and returns it with its line
// in a Caddyfile.
func NewMemory(t *testing.T, now func() time.Time) (s *AbleStore, line string) {
	t.Helper()
	s = newAble(now)
	return s, Prepare(t, s)
}
