package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// sweep sweeps all that there is, n at a time, and returns how many ended.
func (r *rig) sweep(n int) (total int) {
	r.t.Helper()
	for {
		ended, more, err := as[store.Sweeper](r.store).Sweep(r.t.Context(), r.clock.Now(), n)
		if err != nil {
			r.t.Fatalf("sweeping: %v", err)
		}
		if ended > n {
			r.t.Fatalf("%d ended in a sweep of at most %d", ended, n)
		}
		if total += ended; !more {
			return total
		}
	}
}

func (r *rig) sweeps(want int) {
	r.t.Helper()
	if got := r.sweep(100); got != want {
		r.t.Fatalf("%d sessions ended, want %d", got, want)
	}
}

func (r *rig) touch(key store.Key, rec store.Record) {
	r.t.Helper()
	if err := r.store.Touch(r.t.Context(), store.Touch{Key: key, Incarnation: rec.Incarnation, Accessed: r.clock.Now()}); err != nil {
		r.t.Fatal(err)
	}
}

// save changes a record, and returns it as saved.
func (r *rig) save(key store.Key, rec store.Record, change func(*store.Write)) store.Record {
	r.t.Helper()
	w := store.Write{Record: rec}
	w.Version = rec.Version.Next()
	change(&w)
	if err := r.store.Save(r.t.Context(), key, w, store.IfVersion(rec.Version)); err != nil {
		r.t.Fatalf("saving: %v", err)
	}
	return w.Record
}

func testSweep(t *testing.T, r *rig) {
	ability[store.Sweeper](t, r)
	slack := store.TouchSlack(30 * time.Minute)
	r.sweeps(0)
	t.Run("not a moment too early", func(t *testing.T) {
		r.create(keyOf("shop", 1), "x")
		r.clock.Advance(30*time.Minute + slack - time.Millisecond)
		r.sweeps(0)
		r.load(keyOf("shop", 1))
		r.clock.Advance(time.Millisecond)
		r.sweeps(1)
		r.gone(keyOf("shop", 1))
		r.sweeps(0)
	})
	t.Run("a touch has it end later", func(t *testing.T) {
		rec := r.create(keyOf("shop", 2), "x")
		for range 3 {
			r.clock.Advance(29 * time.Minute)
			r.touch(keyOf("shop", 2), rec)
			r.sweeps(0)
		}
		r.clock.Advance(30*time.Minute + slack)
		r.sweeps(1)
	})
	t.Run("a longer timeout has it end later, a shorter one earlier", func(t *testing.T) {
		rec := r.create(keyOf("shop", 3), "x")
		rec = r.save(keyOf("shop", 3), rec, func(w *store.Write) { w.Idle = 2 * time.Hour })
		r.clock.Advance(time.Hour)
		r.sweeps(0)
		rec = r.save(keyOf("shop", 3), rec, func(w *store.Write) { w.Accessed, w.Idle = r.clock.Now(), time.Minute })
		r.clock.Advance(2 * time.Minute)
		r.sweeps(1)
		_ = rec
	})
	t.Run("a later absolute end", func(t *testing.T) {
		rec := r.record("x")
		rec.Absolute = r.clock.Now().Add(time.Minute)
		key := keyOf("shop", 4)
		if err := r.store.Save(t.Context(), key, store.Write{Record: rec}, store.Create()); err != nil {
			t.Fatal(err)
		}
		r.save(key, rec, func(w *store.Write) { w.Absolute = r.clock.Now().Add(10 * time.Minute) })
		r.clock.Advance(2 * time.Minute)
		r.sweeps(0)
		r.clock.Advance(8 * time.Minute)
		r.sweeps(1)
	})
	t.Run("the clock is set back", func(t *testing.T) {
		r.clock.Advance(5 * time.Hour)
		r.sweeps(0)
		r.clock.Advance(-4 * time.Hour)
		r.create(keyOf("shop", 5), "x")
		r.sweeps(0)
		r.clock.Advance(time.Hour)
		r.sweeps(1)
		r.clock.Advance(-3 * time.Hour)
		r.create(keyOf("shop", 6), "x") // ends before what the last sweep has seen
		r.clock.Advance(4 * time.Hour)
		r.sweeps(1)
		r.create(keyOf("new", 1), "x") // a manager that was never seen before
		r.clock.Advance(-30 * time.Minute)
		r.create(keyOf("new", 2), "x")
		r.clock.Advance(40 * time.Minute)
		r.sweeps(1)
		r.clock.Advance(time.Hour)
		r.sweeps(1)
	})
	t.Run("the earliest first, in parts", func(t *testing.T) {
		r.ends()
		var want []store.Key
		for i := range byte(10) {
			key := keyOf([]string{"shop", "cart"}[i%2], 20+i)
			r.create(key, "x")
			want = append(want, key)
			r.clock.Advance(time.Second)
		}
		r.clock.Advance(time.Hour)
		if ended, more, err := as[store.Sweeper](r.store).Sweep(t.Context(), r.clock.Now(), 3); ended != 3 || !more || err != nil {
			t.Fatalf("%d ended, more: %v, %v", ended, more, err)
		}
		if got := r.sweep(3); got != 7 {
			t.Fatalf("%d ended, want 7", got)
		}
		if _, ok := store.As[store.Observable](r.store); !ok {
			return
		}
		got := make([]store.Key, 0, len(want))
		for _, e := range r.ends() {
			got = append(got, e.Key)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("in the order %v, want %v", got, want)
		}
	})
	t.Run("by the caller's time", func(t *testing.T) {
		rec := r.create(keyOf("shop", 7), "x")
		r.clock.Advance(20 * time.Minute)
		r.touch(keyOf("shop", 7), rec)
		r.clock.Advance(20 * time.Minute)
		rec = r.create(keyOf("shop", 8), "x")
		believed := r.clock.Now()
		r.clock.Advance(24 * time.Hour) // set, after the caller looked
		if ended, _, err := as[store.Sweeper](r.store).Sweep(t.Context(), believed, 10); ended != 0 || err != nil {
			t.Fatalf("%d ended by a clock that was set, %v", ended, err)
		}
		r.clock.Advance(-24 * time.Hour)
		r.load(keyOf("shop", 7))
		if got := r.load(keyOf("shop", 8)); got.Version != rec.Version {
			t.Fatalf("got %+v", got)
		}
		r.clock.Advance(time.Hour)
		r.sweeps(2)
	})
	t.Run("cancelled", func(t *testing.T) {
		r.create(keyOf("shop", 9), "x")
		r.clock.Advance(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if ended, _, err := as[store.Sweeper](r.store).Sweep(ctx, r.clock.Now(), 10); ended != 0 || !errors.Is(err, context.Canceled) {
			t.Fatalf("%d ended, %v", ended, err)
		}
		r.sweeps(1)
	})
	t.Run("after reopening", func(t *testing.T) {
		if r.engine.Volatile {
			t.Skip("this store keeps nothing, as it says itself")
		}
		rec := r.create(keyOf("shop", 10), "x")
		r.clock.Advance(29 * time.Minute)
		r.touch(keyOf("shop", 10), rec)
		r.create(keyOf("shop", 11), "x")
		r.clock.Advance(20 * time.Minute)
		r.reopen()
		r.sweeps(0)
		r.reopen()
		r.clock.Advance(20 * time.Minute)
		r.sweeps(2)
	})
}
