package caddymodule

import (
	"context"
	"errors"
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
	caddy.RegisterModule(new(memoryStore))
}

// memoryStore is a guest module: a store in memory, with every ability. It is
// `store memory <name>` in a Caddyfile.
type memoryStore struct {
	Name string `json:"name"`
}

// memories holds the stores that tests have prepared, by name.
var memories sync.Map

func (*memoryStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: storeNamespace + ".memory", New: func() caddy.Module { return new(memoryStore) }}
}

func (m *memoryStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return oneArg(d, &m.Name)
}

func (m *memoryStore) PoolKey() string                    { return "memory:" + m.Name }
func (m *memoryStore) CompatibleWith(StoreProvider) error { return nil }

func (m *memoryStore) Open(*zap.Logger) (OpenStore, error) {
	s, ok := memories.Load(m.Name)
	if !ok {
		return nil, errors.New("no test has prepared this store")
	}
	return s.(*memory), nil
}

// memory is a store with every ability.
type memory struct {
	*storetest.Memory
	updater store.Updater
	stats   store.Stats
}

func (m *memory) Update(ctx context.Context, key store.Key, change func(store.Record) (store.Write, error)) (store.Record, error) {
	return m.updater.Update(ctx, key, change)
}

func (m *memory) Stats() store.Stats { return m.stats }

// newMemory prepares a store, and returns it with its line in a Caddyfile.
func newMemory(t *testing.T, now func() time.Time) (s *memory, line string) {
	t.Helper()
	m := storetest.NewMemory(now)
	s = &memory{Memory: m, updater: m.WithUpdater().(store.Updater)}
	memories.Store(t.Name(), s)
	t.Cleanup(func() { memories.Delete(t.Name()) })
	return s, `store memory "` + t.Name() + `"`
}
