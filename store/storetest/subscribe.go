package storetest

import (
	"bytes"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// testSubscribe: the store decides which listeners get an event, when it is stored.
func testSubscribe(t *testing.T, r *rig) {
	ability[store.Outbox](t, r)
	key := keyOf("shop", 1)
	t.Run("without subscribers nothing is stored", func(t *testing.T) {
		r.save(key, r.create(key, "x"), event("k"))
		r.delete(key, store.Destroyed)
		r.backlog()
	})
	t.Run("each kind, of each manager, for itself", func(t *testing.T) {
		r.subscribeTo(func(manager string, kind store.EventKind) []string {
			return []string{manager + " " + string(kind), manager + " " + string(kind), "all"} // one is repeated
		})
		begun := r.clock.Now()
		for _, key := range []store.Key{key, keyOf("cart", 1)} {
			w := store.Write{Record: r.record("x"), Events: []store.Event{{Kind: store.EventCreated}}}
			if err := r.store.Save(t.Context(), key, w, store.Create()); err != nil {
				t.Fatal(err)
			}
			r.save(key, w.Record, func(w *store.Write) {
				w.Events = []store.Event{{Kind: store.EventSaved, Keys: []string{"k"}}, {Kind: store.EventRotated}}
			})
			r.delete(key, store.Revoked)
		}
		want := []store.Backlog{{Listener: "all", Waiting: 8, Oldest: begun}}
		for _, manager := range []string{"cart", "shop"} {
			for _, kind := range []store.EventKind{store.EventCreated, store.EventEnded, store.EventRotated, store.EventSaved} {
				want = append(want, store.Backlog{Listener: manager + " " + string(kind), Waiting: 1, Oldest: begun})
			}
		}
		r.backlog(want...)
		saying(t, r.due("shop rotate", 10), "shop 1 rotate ")
		for _, b := range want {
			r.discard(b.Listener, b.Waiting)
		}
	})
	t.Run("the listeners of that moment", func(t *testing.T) {
		r.subscribe("before")
		rec := r.save(key, r.create(key, "x"), event("k"))
		r.subscribe("after")
		r.delete(key, store.Destroyed)
		saying(t, r.due("before", 10), "shop 1 save  k")
		saying(t, r.due("after", 10), "shop 1 delete destroyed")
		r.discard("before", 1)
		r.discard("after", 1)
		_ = rec
	})
	t.Run("a save that is repeated has its first listeners", func(t *testing.T) {
		r.subscribe("before")
		w := store.Write{Record: r.record("x"), Events: []store.Event{{Kind: store.EventCreated}}}
		for range 2 {
			if err := r.store.Save(t.Context(), key, w, store.Create()); err != nil {
				t.Fatal(err)
			}
			r.subscribe("after")
		}
		saying(t, r.due("before", 10), "shop 1 create ")
		saying(t, r.due("after", 10))
	})
}

// woken expects that the listener's channel has a value, or gets one soon: a
// store that several processes share may take a moment.
func (r *rig) woken(what, listener string) {
	r.t.Helper()
	select {
	case <-as[store.Outbox](r.store).Filed(listener):
	case <-time.After(10 * time.Second):
		r.t.Fatalf("%s has not woken the listener %s", what, listener)
	}
}

// testFiled: the channel of a listener has a value after each cause.
func testFiled(t *testing.T, r *rig) {
	o := ability[store.Outbox](t, r)
	both := []string{"files", "hook"}
	hook := o.Filed("hook")
	if again := o.Filed("hook"); again != hook || hook == o.Filed("files") {
		t.Fatal("a listener has one channel, and no other listener has it")
	}
	r.subscribe(both...)
	wakes := func(what string) {
		t.Helper()
		for _, listener := range both {
			r.woken(what, listener)
			r.discard(listener, len(r.due(listener, 100)))
		}
	}
	key := keyOf("shop", 1)
	rec := r.create(key, "x")
	r.save(key, rec, event("k"))
	wakes("a save")
	if u, ok := store.As[store.Updater](r.store); ok {
		_, err := u.Update(t.Context(), key, func(current store.Record) (store.Write, error) {
			w := store.Write{Record: next(current, "y")}
			event("k")(&w)
			return w, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		wakes("an update")
	}
	r.delete(key, store.Destroyed)
	wakes("a delete")
	r.create(key, "x")
	r.clock.Advance(time.Hour)
	r.create(key, "y")
	wakes("the end of a session that is replaced")
	if _, ok := store.As[store.Sweeper](r.store); ok {
		r.clock.Advance(time.Hour)
		r.sweeps(1)
		wakes("a sweep")
	}
	if _, ok := store.As[store.Pager](r.store); ok {
		for i := range byte(2) {
			r.subscribe(both...)
			in := r.record("x")
			in.Principal = "alice"
			w := store.Write{Record: in, Limit: store.Limit{Sessions: 1, Evict: true}}
			if err := r.store.Save(t.Context(), keyOf("shop", 5+i), w, store.Create()); err != nil {
				t.Fatal(err)
			}
			r.clock.Advance(time.Second)
		}
		wakes("an eviction")
	}

	// One value stands for any number of causes, and none blocks.
	rec = r.create(keyOf("shop", 9), "x")
	for range 3 {
		rec = r.save(keyOf("shop", 9), rec, event("k"))
	}
	r.woken("the first of three", "hook")
	d := r.due("hook", 1)[0]
	r.settle(store.Settlement{ID: d.ID, Dead: true, Error: "refused"})
	for len(o.Filed("hook")) > 0 {
		<-o.Filed("hook")
	}
	if err := o.RetryDeadLetter(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	r.woken("a retry", "hook")
	if again := r.due("hook", 1); again[0].ID != d.ID {
		t.Fatalf("got %+v", again)
	}
}

// testFiledByRestore: what a backup brings is delivered without a restart.
func testFiledByRestore(t *testing.T, r *rig) {
	ability[store.Outbox](t, r)
	ability[store.Archiver](t, r)
	r.subscribe("hook")
	r.create(keyOf("shop", 1), "x")
	r.delete(keyOf("shop", 1), store.Destroyed)
	backup := r.backup()
	o := r.other(t)
	filed := as[store.Outbox](o.store).Filed("hook")
	for len(filed) > 0 {
		<-filed
	}
	if _, err := as[store.Archiver](o.store).Restore(t.Context(), bytes.NewReader(backup), nil); err != nil {
		t.Fatal(err)
	}
	o.woken("a restore", "hook")
	saying(t, o.due("hook", 10), "shop 1 delete destroyed")
}
