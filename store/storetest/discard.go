package storetest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/sessionproxy/sessionproxy/store"
)

func (r *rig) discard(listener string, want int) {
	r.t.Helper()
	if n, err := as[store.Outbox](r.store).PurgeListener(r.t.Context(), listener); n != want || err != nil {
		r.t.Fatalf("discarded %d for %s, %v; want %d", n, listener, err, want)
	}
}

// testDiscarded drops what waits for one listener, and nothing of another's.
func testDiscarded(t *testing.T, r *rig) {
	o := ability[store.Outbox](t, r)
	r.subscribe("gone", "hook")
	r.discard("gone", 0)
	begun := r.clock.Now()
	for i := range byte(3) {
		key := keyOf("shop", i+1)
		r.save(key, r.create(key, "x"), event("k"))
		if err := r.store.Delete(t.Context(), key, store.Destroyed); err != nil {
			t.Fatal(err)
		}
	}
	waits := r.due("gone", 10)
	later := r.clock.Now().Add(store.MaxRetryDelay)
	r.settle(store.Settlement{ID: waits[0].ID, Dead: true}, store.Settlement{ID: waits[1].ID, Next: later})
	letter := r.due("hook", 1)[0]
	r.settle(store.Settlement{ID: letter.ID, Dead: true})
	r.discard("nobody", 0)
	if !r.engine.Volatile {
		r.reopen()
		o = as[store.Outbox](r.store)
	}
	r.discard("gone", 6)
	r.discard("gone", 0)
	for _, id := range []string{waits[0].ID, letter.ID + "x"} {
		if err := o.RetryDeadLetter(t.Context(), id); !isGone(err) {
			t.Fatalf("reviving what is discarded: %v", err)
		}
	}
	r.settle(store.Settlement{ID: waits[2].ID}, store.Settlement{ID: waits[1].ID, Delivered: true}) // it was under way
	if at := r.next("gone"); !at.IsZero() {
		t.Fatalf("next at %v", at)
	}
	if !r.engine.Volatile {
		r.reopen()
	}
	r.backlog(store.Backlog{Listener: "hook", Waiting: 5, Dead: 1, Oldest: begun})
	due := r.due("hook", 10)
	saying(t, due, "shop 1 delete destroyed", "shop 2 save  k", "shop 3 save  k")
	if string(due[0].Data) != "x" {
		t.Fatalf("the last data is %q", due[0].Data)
	}
	r.create(keyOf("shop", 9), "y")
	if err := r.store.Delete(t.Context(), keyOf("shop", 9), store.Destroyed); err != nil {
		t.Fatal(err)
	}
	saying(t, r.due("gone", 10), "shop 9 delete destroyed") // the name can come back
	r.discard("hook", 7)
	r.discard("gone", 1)
	r.backlog()
}

// testDiscardBesideDeliveries discards while others tell, give up and file.
func testDiscardBesideDeliveries(t *testing.T, r *rig) {
	o := ability[store.Outbox](t, r)
	const n = 50
	r.subscribe("gone", "hook")
	var all sync.WaitGroup
	var mu sync.Mutex
	told, discarded := 0, 0
	fail := make(chan error, 4)
	repeat := func(step func(i byte) error) {
		all.Go(func() {
			for i := range byte(n) {
				if err := step(i); err != nil {
					fail <- err
					return
				}
			}
		})
	}
	repeat(func(i byte) error {
		key := keyOf("shop", i+1)
		if err := r.store.Save(t.Context(), key, store.Write{Record: r.record("x")}, store.Create()); err != nil {
			return err
		}
		return r.store.Delete(t.Context(), key, store.Destroyed)
	})
	repeat(func(i byte) error {
		due, _, err := o.Deliveries(t.Context(), "hook", 10)
		if err != nil {
			return err
		}
		for _, d := range due {
			if string(d.Data) != "x" {
				return fmt.Errorf("the last data is %q", d.Data)
			}
			if err := o.Settle(t.Context(), store.Settlement{ID: d.ID, Delivered: true}); err != nil {
				return err
			}
		}
		mu.Lock()
		defer mu.Unlock()
		told += len(due)
		return nil
	})
	repeat(func(i byte) error {
		due, _, err := o.Deliveries(t.Context(), "gone", 10)
		for _, d := range due {
			if err == nil {
				err = o.Settle(t.Context(), store.Settlement{ID: d.ID, Dead: i%2 == 0})
			}
		}
		return err
	})
	repeat(func(byte) error {
		some, err := o.PurgeListener(t.Context(), "gone")
		mu.Lock()
		defer mu.Unlock()
		discarded += some
		return err
	})
	all.Wait()
	select {
	case err := <-fail:
		t.Fatal(err)
	default:
	}
	r.discard("gone", n-discarded)
	r.discard("hook", n-told)
	r.backlog()
}
