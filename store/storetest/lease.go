package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

func testLeases(t *testing.T, r *rig) {
	l, ok := store.As[store.Leaser](r.store)
	if !ok {
		t.Skip("this store has no store.Leaser, which is optional")
	}
	const ttl = 10 * time.Second
	key, mine, other := keyOf("shop", 1), store.NewHolder(), store.NewHolder()
	want := func(what string, holder uint64, ttl time.Duration, want error) {
		t.Helper()
		if err := l.Lease(t.Context(), key, holder, ttl); !errors.Is(err, want) {
			t.Fatalf("%s: got %v, want %v", what, err, want)
		}
	}
	want("taking it before there is a record", mine, ttl, nil)
	want("taking it from another", other, ttl, store.ErrLeased)
	want("giving back another's", other, 0, nil)
	want("taking it from another, again", other, ttl, store.ErrLeased)
	if err := l.Lease(t.Context(), keyOf("cart", 1), other, ttl); err != nil {
		t.Fatalf("another key: %v", err)
	}

	rec := r.create(key, "data")
	r.clock.Advance(ttl - time.Second)
	want("prolonging it", mine, ttl, nil)
	r.clock.Advance(ttl - time.Second)
	want("taking what was prolonged", other, ttl, store.ErrLeased)
	want("giving it back", mine, 0, nil)
	want("giving it back twice", mine, 0, nil)
	want("taking what was given back", other, ttl, nil)
	want("prolonging what was given back", mine, ttl, store.ErrLeased)
	r.clock.Advance(ttl)
	want("taking what has run out", mine, ttl, nil)
	want("prolonging what was lost", other, ttl, store.ErrLeased)
	if got := r.load(key); got.Version != rec.Version || string(got.Data) != "data" {
		t.Fatalf("a lease changed the record: %+v", got)
	}

	// It does not guard the record.
	if err := r.store.Save(t.Context(), key, store.Write{Record: next(rec, "without lease")}, store.IfVersion(rec.Version)); err != nil {
		t.Fatalf("saving without the lease: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Lease(cancelled, key, mine, ttl); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	r.close()
	want("after the close", mine, ttl, store.ErrUnavailable)
}
