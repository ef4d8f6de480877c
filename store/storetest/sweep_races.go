package storetest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// testSweepBesideWrites: sessions that are in use never end, and each that
// ends does so once, whatever else ends it.
func testSweepBesideWrites(t *testing.T, r *rig) {
	ability[store.Sweeper](t, r)
	const n = 24
	recs := make([]store.Record, n)
	for i := range recs {
		recs[i] = r.create(keyOf("shop", byte(i)), "x")
	}
	for range 8 {
		r.clock.Advance(16 * time.Minute)
		var wg sync.WaitGroup
		for i := range recs[:n/2] {
			key := keyOf("shop", byte(i))
			wg.Go(func() {
				if i%2 == 0 {
					r.touch(key, recs[i])
					return
				}
				recs[i] = r.save(key, recs[i], func(w *store.Write) { w.Accessed = r.clock.Now() })
			})
		}
		for i := range recs[n/2:] {
			if i%2 == 0 {
				wg.Go(func() {
					if err := r.store.Delete(t.Context(), keyOf("shop", byte(n/2+i)), store.Destroyed); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Go(func() {
			if _, _, err := as[store.Sweeper](r.store).Sweep(t.Context(), r.clock.Now(), 100); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if t.Failed() {
			return
		}
	}
	r.sweep(100)
	for i := range recs {
		if i < n/2 {
			r.load(keyOf("shop", byte(i)))
		} else {
			r.gone(keyOf("shop", byte(i)))
		}
	}
	if _, ok := store.As[store.Observable](r.store); !ok {
		return
	}
	times := make(map[store.Key]int)
	for _, e := range r.ends() {
		times[e.Key]++
	}
	for i := range recs {
		if want := i / (n / 2); times[keyOf("shop", byte(i))] != want {
			t.Errorf("session %d ended %d times, want %d", i, times[keyOf("shop", byte(i))], want)
		}
	}
}

// testObserve: the process is told of each end once, with its reason.
func testObserve(t *testing.T, r *rig) {
	ability[store.Observable](t, r)
	expect := func(t *testing.T, want ...store.Ended) {
		t.Helper()
		if got := r.ends(); !slices.Equal(got, want) {
			t.Fatalf("told of %v, want %v", got, want)
		}
	}
	key := keyOf("shop", 1)
	remove := func(reason store.Reason) {
		t.Helper()
		if err := r.store.Delete(t.Context(), key, reason); err != nil {
			t.Fatal(err)
		}
	}
	for _, reason := range []store.Reason{store.Destroyed, store.Revoked, store.Purged} {
		t.Run(string(reason), func(t *testing.T) {
			rec := r.create(key, "x")
			r.save(key, rec, func(w *store.Write) { w.Principal = "alice" })
			expect(t)
			remove(reason)
			expect(t, store.Ended{Key: key, Reason: reason, Principal: "alice"})
			remove(reason)
			expect(t)
		})
	}
	t.Run("replaced", func(t *testing.T) {
		r.create(key, "x")
		r.clock.Advance(time.Hour)
		remove(store.Destroyed)
		expect(t) // it has expired: that is for the sweep to say
		r.gone(key)
		expect(t)
		r.create(key, "y")
		expect(t, store.Ended{Key: key, Reason: store.Replaced})
		remove(store.Destroyed)
		r.ends()
	})
	t.Run("swept", func(t *testing.T) {
		ability[store.Sweeper](t, r)
		r.create(key, "x")
		rec := r.record("y")
		rec.Absolute, rec.Principal = r.clock.Now().Add(time.Hour), "bob"
		if err := r.store.Save(t.Context(), keyOf("shop", 2), store.Write{Record: rec}, store.Create()); err != nil {
			t.Fatal(err)
		}
		r.clock.Advance(20 * time.Minute)
		r.touch(keyOf("shop", 2), rec)
		r.clock.Advance(20 * time.Minute)
		r.touch(keyOf("shop", 2), rec)
		r.clock.Advance(20 * time.Minute)
		r.sweeps(2)
		expect(t, store.Ended{Key: key, Reason: store.Idle}, store.Ended{Key: keyOf("shop", 2), Reason: store.Absolute, Principal: "bob"})
	})
}
