package storetest

import (
	"testing"

	"github.com/sessionproxy/sessionproxy/store"
)

func testLimitPending(t *testing.T, r *rig) {
	o := ability[store.Outbox](t, r)
	r.subscribe("hook", "files")
	ends := func(n byte) {
		t.Helper()
		r.create(keyOf("shop", n), "x")
		if err := r.store.Delete(t.Context(), keyOf("shop", n), store.Destroyed); err != nil {
			t.Fatal(err)
		}
	}
	begun := r.clock.Now()
	files := func(waiting int) store.Backlog {
		return store.Backlog{Listener: "files", Waiting: waiting, Oldest: begun}
	}
	o.LimitPending("hook", 2)
	for i := range byte(4) {
		ends(i + 1)
	}
	r.backlog(files(4), store.Backlog{Listener: "hook", Waiting: 2, Dead: 2, Oldest: begun, Overflowed: 2})
	dead := r.dead("", 10)
	saying(t, dead, "shop 3 delete destroyed", "shop 4 delete destroyed")
	for _, d := range dead { // nothing of it is lost
		if d.Error != store.ErrorOverflow || d.Attempts != 0 || !d.Dead || string(d.Data) != "x" || d.Listener != "hook" {
			t.Fatalf("got %+v", d)
		}
	}
	// One that is asked for comes back, whatever the limit is.
	if err := o.RetryDeadLetter(t.Context(), dead[0].ID); err != nil {
		t.Fatal(err)
	}
	due := r.due("hook", 10)
	saying(t, due, "shop 1 delete destroyed", "shop 2 delete destroyed", "shop 3 delete destroyed")
	ends(5) // while more wait than may
	r.settle(store.Settlement{ID: due[0].ID, Delivered: true}, store.Settlement{ID: due[1].ID, Delivered: true})
	ends(6)
	saying(t, r.due("hook", 10), "shop 3 delete destroyed", "shop 6 delete destroyed")
	r.backlog(files(6), store.Backlog{Listener: "hook", Waiting: 2, Dead: 2, Oldest: begun, Overflowed: 3})
	o.LimitPending("hook", 3)
	ends(7)
	ends(8)
	r.backlog(files(8), store.Backlog{Listener: "hook", Waiting: 3, Dead: 3, Oldest: begun, Overflowed: 4})
	o.LimitPending("hook", 0)
	ends(9)
	r.backlog(files(9), store.Backlog{Listener: "hook", Waiting: 4, Dead: 3, Oldest: begun, Overflowed: 4})
	if n, err := o.PurgeListener(t.Context(), "hook"); n != 7 || err != nil {
		t.Fatalf("discarded %d, %v", n, err)
	}
	r.backlog(files(9), store.Backlog{Listener: "hook", Overflowed: 4})
}
