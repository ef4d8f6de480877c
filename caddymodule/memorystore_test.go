package caddymodule

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

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/storetest"
)

func init() {
	caddy.RegisterModule(new(preparedStore))
}

// preparedStore is a store module for tests: it opens the store that the test
// has put under its name.
type preparedStore struct {
	Name string `json:"name"`
}

// prepared holds the stores of tests, by name.
var prepared sync.Map

func (*preparedStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: storeNamespace + ".prepared", New: func() caddy.Module { return new(preparedStore) }}
}

func (p *preparedStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return oneArg(d, &p.Name)
}

func (p *preparedStore) PoolKey() string { return "prepared:" + p.Name }

func (p *preparedStore) Open(*zap.Logger) (OpenStore, error) {
	st, ok := prepared.Load(p.Name)
	if !ok {
		return nil, errors.New("nothing is prepared")
	}
	return st.(OpenStore), nil
}

func (p *preparedStore) CompatibleWith(StoreProvider) error { return nil }

// prepare puts a store under a name of the test's own, and returns the line of
// the Caddyfile that means it.
func prepare(t *testing.T, st OpenStore) string {
	t.Helper()
	name := t.Name()
	for n := 2; ; n++ {
		if _, taken := prepared.LoadOrStore(name, st); !taken {
			break
		}
		name += "+"
	}
	t.Cleanup(func() { prepared.Delete(name) })
	return `store prepared "` + name + `"`
}

// ableStore has every ability of a store, and outlives its configurations.
type ableStore struct {
	*storetest.Memory
	updater   store.Updater
	now       func() time.Time
	stats     store.Stats
	backup    func(context.Context, io.Writer) error // instead of Memory's, if set
	countsErr error
}

func (s *ableStore) Close() error       { return nil }
func (s *ableStore) Stats() store.Stats { return s.stats }

// Sweep judges by the test's clock, and not by that of the process.
func (s *ableStore) Sweep(ctx context.Context, _ time.Time, n int, listeners func(string) []string) (int, bool, error) {
	return s.Memory.Sweep(ctx, s.now(), n, listeners)
}

func (s *ableStore) Update(ctx context.Context, key store.Key, change func(store.Record) (store.Write, error)) (store.Record, error) {
	return s.updater.Update(ctx, key, change)
}

func (s *ableStore) Counts(ctx context.Context) ([]store.Count, error) {
	if s.countsErr != nil {
		return nil, s.countsErr
	}
	return s.Memory.Counts(ctx)
}

func (s *ableStore) Backup(ctx context.Context, w io.Writer) error {
	if s.backup != nil {
		return s.backup(ctx, w)
	}
	return s.Memory.Backup(ctx, w)
}

// bareStore has no ability at all.
type bareStore struct{ store.Store }

func (bareStore) Close() error { return nil }

// newAble returns such a store on a clock.
func newAble(now func() time.Time) *ableStore {
	m := storetest.NewMemory(now)
	return &ableStore{Memory: m, updater: m.WithUpdater().(store.Updater), now: now}
}

// newMemory prepares a store with every ability, and returns it with its line
// in a Caddyfile.
func newMemory(t *testing.T, now func() time.Time) (s *ableStore, line string) {
	t.Helper()
	s = newAble(now)
	return s, prepare(t, s)
}
