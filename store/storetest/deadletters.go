package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

func testDeadLetters(t *testing.T, r *rig) {
	o := ability[store.Outbox](t, r)
	r.subscribe("hook")
	key := keyOf("shop", 1)
	rec := r.create(key, "x")
	begun := r.clock.Now()
	for _, k := range []string{"k1", "k2", "k3"} {
		rec = r.save(key, rec, event(k))
	}
	for range 2 {
		r.settle(store.Settlement{ID: r.due("hook", 1)[0].ID, Dead: true, Error: "refused"})
	}
	saying(t, r.due("hook", 10), "shop 1 save  k3") // the dead hold up no other
	r.backlog(store.Backlog{Listener: "hook", Waiting: 1, Dead: 2, Oldest: begun})
	dead := r.dead("", 10)
	saying(t, dead, "shop 1 save  k1", "shop 1 save  k2")
	if d := dead[0]; !d.Dead || d.Attempts != 1 || d.Error != "refused" || d.Listener != "hook" {
		t.Fatalf("got %+v", d)
	}
	saying(t, r.dead("", 1), "shop 1 save  k1")
	saying(t, r.dead(dead[0].ID, 10), "shop 1 save  k2")
	saying(t, r.dead(dead[1].ID, 10))
	if _, err := o.DeadLetters(t.Context(), "no id", 10); !errors.Is(err, store.ErrBadCursor) {
		t.Fatalf("got %v", err)
	}
	alive := r.due("hook", 1)[0]
	for _, id := range []string{alive.ID, "no id", ""} {
		if err := o.RetryDeadLetter(t.Context(), id); !isGone(err) {
			t.Fatalf("reviving what is not dead: %v", err)
		}
	}
	if err := o.RetryDeadLetter(t.Context(), dead[1].ID); err != nil {
		t.Fatal(err)
	}
	if err := o.RetryDeadLetter(t.Context(), dead[1].ID); !isGone(err) {
		t.Fatalf("reviving twice: %v", err)
	}
	saying(t, r.due("hook", 10), "shop 1 save  k2") // where it was
	saying(t, r.dead("", 10), "shop 1 save  k1")
	saying(t, r.dead(dead[0].ID, 10))
	for _, id := range []string{alive.ID, dead[1].ID, "no id", ""} {
		if err := o.DeleteDeadLetter(t.Context(), id); !isGone(err) {
			t.Fatalf("burying what is not dead: %v", err)
		}
	}
	if err := o.DeleteDeadLetter(t.Context(), dead[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := o.DeleteDeadLetter(t.Context(), dead[0].ID); !isGone(err) {
		t.Fatalf("burying twice: %v", err)
	}
	saying(t, r.dead("", 10))
	for _, want := range []string{"shop 1 save  k2", "shop 1 save  k3"} {
		d := r.due("hook", 10)
		saying(t, d, want)
		r.settle(store.Settlement{ID: d[0].ID, Delivered: true})
	}
	r.backlog()
}

func testOutboxReopened(t *testing.T, r *rig) {
	ability[store.Outbox](t, r)
	if r.engine.Volatile {
		t.Skip("this store keeps nothing, as it says itself")
	}
	r.subscribe("hook", "files")
	var ids []string
	for i := range byte(3) {
		key := keyOf("shop", i+1)
		rec := r.create(key, "x")
		r.save(key, rec, event("k"))
		if err := r.store.Delete(t.Context(), key, store.Destroyed); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			d := r.due("files", 1)[0]
			ids = append(ids, d.ID)
			r.settle(store.Settlement{ID: d.ID, Delivered: true})
		}
	}
	begun, later := r.clock.Now(), r.clock.Now().Add(time.Minute)
	before := r.due("hook", 10)
	r.settle(store.Settlement{ID: before[0].ID, Next: later, Error: "late"}, store.Settlement{ID: before[1].ID, Dead: true, Error: "dead"})
	r.reopen()
	after := r.due("hook", 10)
	saying(t, after, "shop 2 delete destroyed", "shop 3 save  k")
	if after[1].ID != before[2].ID || string(after[0].Data) != "x" {
		t.Fatalf("got %+v", after)
	}
	saying(t, r.dead("", 10), "shop 2 save  k")
	r.backlog(store.Backlog{Listener: "hook", Waiting: 5, Dead: 1, Oldest: begun})
	r.settle(store.Settlement{ID: after[0].ID, Delivered: true}, store.Settlement{ID: after[1].ID, Dead: true})
	r.settle(store.Settlement{ID: r.due("hook", 10)[0].ID, Dead: true})
	if at := r.next("hook"); !at.Equal(later) {
		t.Fatalf("next at %v, want %v", at, later)
	}
	r.create(keyOf("shop", 4), "x")
	if err := r.store.Delete(t.Context(), keyOf("shop", 4), store.Destroyed); err != nil {
		t.Fatal(err)
	}
	if id := r.due("files", 1)[0].ID; slices.Contains(ids, id) {
		t.Fatalf("the ID %s was given before", id)
	}
}
