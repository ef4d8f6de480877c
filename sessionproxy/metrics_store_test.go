package sessionproxy_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
	"github.com/sessionproxy/sessionproxy/store/storetest"
)

// ableStore has every ability that there is.
type ableStore struct {
	*memstore.Store
	updater store.Updater
}

func newAbleStore() *ableStore {
	m := memstore.New(time.Now)
	return &ableStore{Store: m, updater: m.WithUpdater().(store.Updater)}
}

func (a *ableStore) Update(ctx context.Context, key store.Key, change func(store.Record) (store.Write, error)) (store.Record, error) {
	return a.updater.Update(ctx, key, change)
}

func (a *ableStore) Stats() store.Stats { return store.Stats{Batches: 7} }

// plainStore has no ability.
type plainStore struct{ store.Store }

// TestMeasuredStoreKeepsAbilities compares what a measured store can do with
// what the store behind it can.
func TestMeasuredStoreKeepsAbilities(t *testing.T) {
	memory := memstore.New(time.Now)
	for name, c := range map[string]struct{ store store.Store }{
		"every ability": {newAbleStore()},
		"no ability":    {plainStore{memory}},
		"an updater": {struct {
			plainStore
			store.Updater
		}{plainStore{memory}, memory.WithUpdater().(store.Updater)}},
		"some abilities": {memory},
		"leases": {struct {
			*ableStore
			store.Leaser
		}{newAbleStore(), memory.WithLeases()}},
		"measured twice": {sessionproxy.NewMetrics().Store(newAbleStore())},
	} {
		t.Run(name, func(t *testing.T) {
			got := sessionproxy.NewMetrics().Store(c.store)
			if got == c.store {
				t.Error("it is not measured")
			}
			for ability, is := range map[string]func(store.Store) bool{
				"updater":    func(s store.Store) bool { _, ok := store.As[store.Updater](s); return ok },
				"sweeper":    func(s store.Store) bool { _, ok := store.As[store.Sweeper](s); return ok },
				"outbox":     func(s store.Store) bool { _, ok := store.As[store.Outbox](s); return ok },
				"pager":      func(s store.Store) bool { _, ok := store.As[store.Pager](s); return ok },
				"counter":    func(s store.Store) bool { _, ok := store.As[store.Counter](s); return ok },
				"archiver":   func(s store.Store) bool { _, ok := store.As[store.Archiver](s); return ok },
				"reporter":   func(s store.Store) bool { _, ok := store.As[store.Reporter](s); return ok },
				"observable": func(s store.Store) bool { _, ok := store.As[store.Observable](s); return ok },
				"leaser":     func(s store.Store) bool { _, ok := store.As[store.Leaser](s); return ok },
			} {
				if is(got) != is(c.store) {
					t.Errorf("%s: %v became %v", ability, is(c.store), is(got))
				}
			}
		})
	}
}

// TestMeasuredStoreConforms lets every call through.
func TestMeasuredStoreConforms(t *testing.T) {
	storetest.Run(t, storetest.Engine{Volatile: true, Open: func(_ *testing.T, _ string, now func() time.Time) storetest.Closer {
		memory := memstore.New(now)
		s := sessionproxy.NewMetrics().Store(&ableStore{Store: memory, updater: memory.WithUpdater().(store.Updater)})
		return closing{s, memory}
	}})
}

// closing wraps a store as others do: by Unwrap.
type closing struct {
	store.Store
	io.Closer
}

func (c closing) Unwrap() store.Store { return c.Store }

func TestStoreMetrics(t *testing.T) {
	memory := newAbleStore()
	metrics := sessionproxy.NewMetrics()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.Collectors()...)
	s := metrics.Store(memory)
	key := store.Key{Manager: "shop", ID: store.ID{1}}
	rec := store.Record{
		Data: []byte("{}"), Created: time.Now(), Accessed: time.Now(), Idle: time.Hour, Absolute: time.Now().Add(time.Hour),
		Incarnation: 1, Version: store.Version{}.Next(),
	}
	write := store.Write{Record: rec}
	ctx := t.Context()
	gone, cancel := context.WithCancel(ctx)
	cancel()
	own := errors.New("own")
	update := func(result error) error {
		_, err := s.(store.Updater).Update(ctx, key, func(current store.Record) (store.Write, error) {
			current.Version = current.Version.Next()
			return store.Write{Record: current}, result
		})
		return err
	}
	load := func(ctx context.Context) error { _, err := s.Load(ctx, key); return err }
	fails := func(err error) func() error {
		return func() error {
			memory.Before = func(string, store.Key) error { return err }
			defer func() { memory.Before = nil }()
			return load(ctx)
		}
	}
	for _, c := range []struct {
		op, outcome string
		do          func() error
		want        error
	}{
		{"load", "gone", func() error { return load(ctx) }, store.ErrGone},
		{"save", "ok", func() error { return s.Save(ctx, key, write, store.Create()) }, nil},
		{"save", "conflict", func() error { w := write; w.Version = w.Version.Next(); return s.Save(ctx, key, w, store.Create()) }, store.ErrConflict},
		{"load", "ok", func() error { return load(ctx) }, nil},
		{"touch", "ok", func() error { return s.Touch(ctx, store.Touch{Key: key, Incarnation: 1, Accessed: time.Now()}) }, nil},
		{"update", "ok", func() error { return update(nil) }, nil},
		{"update", "refused", func() error { return update(own) }, own},
		{"load", "cancelled", func() error { return load(gone) }, context.Canceled},
		{"load", "unavailable", fails(store.ErrUnavailable), store.ErrUnavailable},
		{"load", "unknown", fails(store.ErrUnknown), store.ErrUnknown},
		{"load", "limit", fails(store.ErrLimit), store.ErrLimit},
		{"delete", "ok", func() error { return s.Delete(ctx, key, store.Destroyed) }, nil},
	} {
		if c.op == "load" { // a sample of them is measured
			for range 999 {
				_ = c.do()
			}
		}
		before := sampled(t, registry, "caddy_sessions_store_seconds", "op", c.op, "outcome", c.outcome)
		if err := c.do(); !errors.Is(err, c.want) || err != c.want && c.want == own { //nolint:errorlint // as it is
			t.Errorf("%s: %v, want %v", c.op, err, c.want)
		}
		n := sampled(t, registry, "caddy_sessions_store_seconds", "op", c.op, "outcome", c.outcome)
		if c.op == "load" && (n < 1 || n > 500) || c.op != "load" && n-before != 1 {
			t.Errorf("%s %s is counted %v times", c.op, c.outcome, n)
		}
	}
}

// BenchmarkMeasuredLoad is what measuring adds to a load, of nothing.
func BenchmarkMeasuredLoad(b *testing.B) {
	for name, s := range map[string]store.Store{
		"as it is": nothing{}, "measured": sessionproxy.NewMetrics().Store(nothing{}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = s.Load(b.Context(), store.Key{})
			}
		})
	}
}

type nothing struct{ store.Store }

func (nothing) Load(context.Context, store.Key) (store.Record, error) { return store.Record{}, nil }
