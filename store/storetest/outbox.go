package storetest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// due returns what is to be delivered now.
func (r *rig) due(listener string, n int) []store.Delivery {
	r.t.Helper()
	due, next, err := as[store.Outbox](r.store).Deliveries(r.t.Context(), listener, n)
	if err != nil {
		r.t.Fatalf("asking for deliveries: %v", err)
	}
	if len(due) > n || len(due) > 0 && !next.IsZero() {
		r.t.Fatalf("%d deliveries of at most %d, next at %v", len(due), n, next)
	}
	return due
}

// next returns when the next delivery is due, while none is now.
func (r *rig) next(listener string) time.Time {
	r.t.Helper()
	due, next, err := as[store.Outbox](r.store).Deliveries(r.t.Context(), listener, 1)
	if err != nil || len(due) > 0 {
		r.t.Fatalf("%d deliveries, %v", len(due), err)
	}
	return next
}

func (r *rig) settle(done ...store.Settlement) {
	r.t.Helper()
	if err := as[store.Outbox](r.store).Settle(r.t.Context(), done...); err != nil {
		r.t.Fatalf("settling: %v", err)
	}
}

func (r *rig) dead(after string, n int) []store.Delivery {
	r.t.Helper()
	dead, err := as[store.Outbox](r.store).DeadLetters(r.t.Context(), after, n)
	if err != nil {
		r.t.Fatalf("listing dead letters: %v", err)
	}
	return dead
}

func (r *rig) backlog(want ...store.Backlog) {
	r.t.Helper()
	got, err := as[store.Outbox](r.store).Backlog(r.t.Context())
	if err != nil || !slices.EqualFunc(got, want, func(a, b store.Backlog) bool {
		return a.Oldest.Equal(b.Oldest) && a.Listener == b.Listener && a.Overflowed == b.Overflowed && a.Waiting == b.Waiting && a.Dead == b.Dead
	}) {
		r.t.Fatalf("the backlog is %+v, %v; want %+v", got, err, want)
	}
}

// event has a save make an event, with the keys that were written.
func event(keys ...string) func(*store.Write) {
	return func(w *store.Write) {
		w.Events = append(w.Events, store.Event{Kind: store.EventSaved, Keys: keys})
	}
}

// said is what deliveries are about, in short.
func said(all []store.Delivery) (s []string) {
	for _, d := range all {
		s = append(s, strings.Join(append([]string{d.Key.Manager, string(d.Key.ID[0] + '0'), string(d.Kind), string(d.Reason)}, d.Keys...), " "))
	}
	return s
}

func saying(t *testing.T, all []store.Delivery, want ...string) {
	t.Helper()
	if got := said(all); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func testOutbox(t *testing.T, r *rig) {
	ability[store.Outbox](t, r)
	both := []string{"files", "hook"}
	r.subscribe(both...)
	key := keyOf("shop", 1)
	if at := r.next("nobody"); !at.IsZero() {
		t.Fatalf("something waits for nobody, at %v", at)
	}
	r.backlog()
	rec := r.record("first")
	w := store.Write{Record: rec, Events: []store.Event{{Kind: store.EventCreated}}}
	if err := r.store.Save(t.Context(), key, w, store.Create()); err != nil {
		t.Fatal(err)
	}
	begun := r.clock.Now()
	t.Run("a save that has happened files once", func(t *testing.T) {
		if err := r.store.Save(t.Context(), key, w, store.Create()); err != nil {
			t.Fatal(err)
		}
		r.backlog(store.Backlog{Listener: "files", Waiting: 1, Oldest: begun}, store.Backlog{Listener: "hook", Waiting: 1, Oldest: begun})
	})
	t.Run("a save that fails files nothing", func(t *testing.T) {
		n := store.Write{Record: next(rec, "new")}
		event("a")(&n)
		if err := r.store.Save(t.Context(), key, n, store.Create()); !errors.Is(err, store.ErrConflict) {
			t.Fatalf("got %v", err)
		}
		n.Incarnation++
		if err := r.store.Save(t.Context(), key, n, store.IfVersion(rec.Version)); !isGone(err) {
			t.Fatalf("got %v", err)
		}
		saying(t, r.due("hook", 10), "shop 1 create ")
		r.backlog(store.Backlog{Listener: "files", Waiting: 1, Oldest: begun}, store.Backlog{Listener: "hook", Waiting: 1, Oldest: begun})
	})
	t.Run("each listener for itself", func(t *testing.T) {
		d := r.due("hook", 10)[0]
		if d.Listener != "hook" || d.Key != key || !d.At.Equal(begun) || d.Data != nil || d.Info.Size != len(rec.Data) || d.Info.Version != rec.Version || d.Attempts != 0 || d.Dead {
			t.Fatalf("got %+v", d)
		}
		r.settle(store.Settlement{ID: d.ID, Delivered: true})
		r.settle(store.Settlement{ID: d.ID, Delivered: true}, store.Settlement{ID: d.ID}) // settled already
		if at := r.next("hook"); !at.IsZero() {
			t.Fatalf("next at %v", at)
		}
		saying(t, r.due("files", 10), "shop 1 create ")
		r.settle(store.Settlement{ID: r.due("files", 10)[0].ID, Delivered: true})
		r.settle(store.Settlement{ID: "another's", Delivered: true})
		r.backlog()
	})
	t.Run("the last data of a session that has ended", func(t *testing.T) {
		r.subscribe("hook")
		rec = r.save(key, rec, func(w *store.Write) {
			w.Data, w.Principal = []byte("last"), "alice"
			event("a", "b")(w)
		})
		r.subscribe(both...)
		r.clock.Advance(time.Second)
		if err := r.store.Delete(t.Context(), key, store.Revoked); err != nil {
			t.Fatal(err)
		}
		r.gone(key)
		saying(t, r.due("hook", 10), "shop 1 save  a b")
		due := r.due("files", 10)
		saying(t, due, "shop 1 delete revoked")
		d := due[0]
		if string(d.Data) != "last" || d.Info.Principal != "alice" || !d.At.Equal(r.clock.Now()) || d.Info.Version != rec.Version {
			t.Fatalf("got %+v", d)
		}
		r.settle(store.Settlement{ID: d.ID, Delivered: true}, store.Settlement{ID: r.due("hook", 1)[0].ID, Delivered: true})
		d = r.due("hook", 10)[0] // the other listener has it still
		if string(d.Data) != "last" {
			t.Fatalf("got %+v", d)
		}
		r.settle(store.Settlement{ID: d.ID, Delivered: true})
		r.backlog()
	})
	t.Run("ends by a save", func(t *testing.T) {
		r.create(key, "expired")
		r.clock.Advance(time.Hour)
		rec := r.record("new")
		r.subscribe("hook")
		err := r.store.Save(t.Context(), key, store.Write{Record: rec}, store.Create())
		if err != nil {
			t.Fatal(err)
		}
		due := r.due("hook", 10)
		saying(t, due, "shop 1 delete replaced")
		if string(due[0].Data) != "expired" {
			t.Fatalf("got %+v", due[0])
		}
		r.settle(store.Settlement{ID: due[0].ID, Delivered: true})
		r.load(key)
	})
	t.Run("ends by a sweep", func(t *testing.T) {
		ability[store.Sweeper](t, r)
		r.create(keyOf("cart", 2), "quiet")
		r.clock.Advance(time.Hour)
		r.subscribeTo(func(manager string, kind store.EventKind) []string {
			if manager == "shop" && kind == store.EventEnded {
				return both
			}
			return nil
		})
		if n := r.sweep(10); n != 2 {
			t.Fatalf("%d ended", n)
		}
		for _, listener := range both {
			due := r.due(listener, 10)
			saying(t, due, "shop 1 delete idle")
			r.settle(store.Settlement{ID: due[0].ID, Delivered: true})
		}
		r.backlog()
	})
	t.Run("an update files, too", func(t *testing.T) {
		u := ability[store.Updater](t, r)
		r.subscribe(both...)
		r.create(key, "x")
		_, err := u.Update(t.Context(), key, func(rec store.Record) (store.Write, error) {
			w := store.Write{Record: next(rec, "y")}
			event("k")(&w)
			return w, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		saying(t, r.due("files", 10), "shop 1 save  k")
	})
}

func testOutboxOrder(t *testing.T, r *rig) {
	ability[store.Outbox](t, r)
	r.subscribe("hook")
	one, two := keyOf("shop", 1), keyOf("shop", 2)
	a, b := r.create(one, "x"), r.create(two, "y")
	for _, k := range []string{"k1", "k2", "k3"} {
		a = r.save(one, a, event(k))
		b = r.save(two, b, event(k))
		r.clock.Advance(time.Second)
	}
	due := r.due("hook", 10)
	saying(t, due, "shop 1 save  k1", "shop 2 save  k1")
	saying(t, r.due("hook", 1), "shop 1 save  k1")

	later := r.clock.Now().Add(time.Minute)
	long := strings.Repeat("e", store.MaxDeliveryError+1)
	r.settle(store.Settlement{ID: due[0].ID, Next: later, Error: long}, store.Settlement{ID: due[1].ID, Delivered: true})
	for _, k := range []string{"k2", "k3"} { // the other session goes on
		d := r.due("hook", 10)
		saying(t, d, "shop 2 save  "+k)
		r.settle(store.Settlement{ID: d[0].ID, Delivered: true})
	}
	if at := r.next("hook"); !at.Equal(later) {
		t.Fatalf("next at %v, want %v", at, later)
	}
	a = r.save(one, a, event("k4"))
	r.clock.Advance(time.Minute - time.Millisecond)
	if at := r.next("hook"); !at.Equal(later) {
		t.Fatalf("next at %v, want %v", at, later)
	}
	r.clock.Advance(time.Millisecond)
	again := r.due("hook", 10)
	saying(t, again, "shop 1 save  k1")
	if d := again[0]; d.ID != due[0].ID || d.Attempts != 1 || d.Error != long[1:] {
		t.Fatalf("got %+v", d)
	}
	if err := r.store.Delete(t.Context(), one, store.Destroyed); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"shop 1 save  k1", "shop 1 save  k2", "shop 1 save  k3", "shop 1 save  k4", "shop 1 delete destroyed"} {
		d := r.due("hook", 10)
		saying(t, d, want)
		r.settle(store.Settlement{ID: d[0].ID, Delivered: true})
	}
	if at := r.next("hook"); !at.IsZero() {
		t.Fatalf("next at %v", at)
	}
	_, _ = a, b
}
