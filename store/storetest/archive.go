package storetest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// backup returns a backup of the store.
func (r *rig) backup() []byte {
	r.t.Helper()
	var b bytes.Buffer
	if err := as[store.Archiver](r.store).Backup(r.t.Context(), &b); err != nil {
		r.t.Fatalf("backing up: %v", err)
	}
	return b.Bytes()
}

// other returns another store of the same engine, on the same clock.
func (r *rig) other(t *testing.T) *rig { return r.otherOf(t, r.engine) }

// otherOf returns another store of an engine, on the same clock.
func (r *rig) otherOf(t *testing.T, e Engine) *rig {
	o := newRig(t, e)
	o.close()
	o.clock = r.clock
	o.open()
	return o
}

func (r *rig) restore(backup []byte, want int64) {
	r.t.Helper()
	if n, err := as[store.Archiver](r.store).Restore(r.t.Context(), bytes.NewReader(backup), nil); err != nil || n != want {
		r.t.Fatalf("%d sessions were restored, want %d: %v", n, want, err)
	}
}

// fill gives a store something of everything, and returns what lives.
func (r *rig) fill() map[store.Key]store.Record {
	r.t.Helper()
	hook := r.hasOutbox()
	r.subscribe("hook", "files")
	for i := range byte(40) {
		key := keyOf([]string{"shop", "cart"}[i%2], i)
		rec := r.record(string(bytes.Repeat([]byte("x"), int(i)*100)))
		rec.Since, rec.OwnAbsolute = r.clock.Now().Add(-time.Hour), i%2 == 0
		rec.PreviousNonce, rec.PreviousUntil = [16]byte{i}, r.clock.Now()
		if i%4 < 2 {
			rec.Principal = "alice"
		}
		if i%3 == 0 {
			rec.Cookies = bytes.Repeat([]byte{i, 0xff}, 1+int(i)*100)
		}
		w := store.Write{Record: rec}
		if hook && i%5 == 0 {
			w.Events = []store.Event{{Kind: store.EventCreated}, {Kind: store.EventSaved, Keys: []string{"a", "b"}}}
		}
		if err := r.store.Save(r.t.Context(), key, w, store.Create()); err != nil {
			r.t.Fatal(err)
		}
		r.clock.Advance(time.Second)
		r.touch(key, rec)
	}
	if hook {
		due := r.due("hook", 10)
		r.settle(store.Settlement{ID: due[0].ID, Next: r.clock.Now().Add(time.Hour), Error: "later"},
			store.Settlement{ID: due[1].ID, Dead: true, Error: "dead"}, store.Settlement{ID: due[2].ID, Delivered: true})
	}
	r.subscribe("hook")
	r.delete(keyOf("shop", 0), store.Revoked)
	r.clock.Advance(30*time.Minute + store.TouchSlack(30*time.Minute) - 35*time.Second) // some expire
	live := make(map[store.Key]store.Record)
	for _, manager := range []string{"shop", "cart"} {
		for info, err := range r.store.List(r.t.Context(), manager, store.ID{}) {
			if err != nil {
				r.t.Fatal(err)
			}
			key := store.Key{Manager: manager, ID: info.ID}
			live[key] = r.load(key)
		}
	}
	if len(live) == 0 || len(live) == 39 {
		r.t.Fatalf("%d of 39 live", len(live))
	}
	return live
}

func testArchive(t *testing.T, r *rig) {
	ability[store.Archiver](t, r)
	t.Run("of nothing", func(t *testing.T) {
		r.other(t).restore(r.backup(), 0)
	})
	r.restoresInto(t, r.engine)
}

// Exchange checks that a backup of each engine restores into a store of each
// other one: sessions, deliveries, dead letters, their order and their IDs.
func Exchange(t *testing.T, engines map[string]Engine) {
	for from, e := range engines {
		for into, other := range engines {
			if from != into {
				t.Run(from+" into "+into, func(t *testing.T) { newRig(t, e).restoresInto(t, other) })
			}
		}
	}
}

// restoresInto fills the store, and compares it with one of an engine that got
// its backup.
func (r *rig) restoresInto(t *testing.T, e Engine) {
	live := r.fill()
	backup := r.backup()
	o := r.otherOf(t, e)
	o.restore(backup, 39)
	check := func(t *testing.T) {
		t.Helper()
		for key, want := range live {
			if got := o.load(key); !same(got, want) {
				t.Fatalf("got %+v, want %+v", got, want)
			}
		}
		for _, q := range []store.Query{{Manager: "shop"}, {Manager: "cart", Principal: "alice"}, {Manager: "shop", Order: store.ByExpires}} {
			if _, ok := store.As[store.Pager](r.store); !ok {
				break
			}
			q.Limit = 7
			if want, got := r.pages(q), o.pages(q); !slices.Equal(got, want) {
				t.Fatalf("%+v: got %v, want %v", q, got, want)
			}
		}
		if c, ok := store.As[store.Counter](r.store); ok {
			want, err1 := c.Counts(t.Context())
			got, err2 := as[store.Counter](o.store).Counts(t.Context())
			if err1 != nil || err2 != nil || !slices.Equal(got, want) {
				t.Fatalf("got %v, %v; want %v, %v", got, err2, want, err1)
			}
		}
		if _, ok := store.As[store.Outbox](r.store); ok {
			sameMail(t, r, o)
		}
	}
	check(t)
	if !o.engine.Volatile {
		o.reopen()
		check(t)
	}
	t.Run("into a store that has something", func(t *testing.T) {
		if n, err := as[store.Archiver](o.store).Restore(t.Context(), bytes.NewReader(backup), nil); n != 0 || !errors.Is(err, store.ErrNotEmpty) {
			t.Fatalf("%d were restored: %v", n, err)
		}
		check(t)
	})
	t.Run("it is a store as any other", func(t *testing.T) {
		if _, ok := store.As[store.Sweeper](r.store); ok {
			if want, got := r.sweep(10), o.sweep(10); got != want {
				t.Fatalf("%d ended, want %d", got, want)
			}
		}
		for key, rec := range live {
			o.save(key, rec, func(w *store.Write) { w.Principal = "bob" })
			if err := o.store.Delete(t.Context(), key, store.Destroyed); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// sameMail compares what waits in two stores.
func sameMail(t *testing.T, r, o *rig) {
	t.Helper()
	for _, listener := range []string{"hook", "files"} {
		if want, got := r.due(listener, 100), o.due(listener, 100); !slices.EqualFunc(got, want, sameDelivery) {
			t.Fatalf("for %s: got %+v, want %+v", listener, got, want)
		}
	}
	if want, got := r.dead("", 10), o.dead("", 10); len(got) != 1 || !slices.EqualFunc(got, want, sameDelivery) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	want, err := as[store.Outbox](r.store).Backlog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o.backlog(want...)
}

func sameDelivery(a, b store.Delivery) bool {
	return a.ID == b.ID && a.Listener == b.Listener && a.Kind == b.Kind && a.Reason == b.Reason && a.Key == b.Key && a.At.Equal(b.At) &&
		slices.Equal(a.Keys, b.Keys) && a.Info == b.Info && bytes.Equal(a.Data, b.Data) && a.Attempts == b.Attempts && a.Next.Equal(b.Next) &&
		a.Error == b.Error && a.Dead == b.Dead
}

// testBadArchives: a backup that is not whole changes nothing.
func testBadArchives(t *testing.T, r *rig) {
	a := ability[store.Archiver](t, r)
	r.fill()
	backup := r.backup()
	o := r.other(t)
	refused := func(what string, bad []byte) {
		t.Helper()
		n, err := as[store.Archiver](o.store).Restore(t.Context(), bytes.NewReader(bad), nil)
		if n != 0 || !errors.Is(err, store.ErrBadBackup) {
			t.Fatalf("%s: %d were restored: %v", what, n, err)
		}
		for _, manager := range []string{"shop", "cart"} {
			for info, err := range o.store.List(t.Context(), manager, store.ID{}) {
				t.Fatalf("%s: it has left %v, %v", what, info, err)
			}
		}
	}
	wrong := errors.New("not like that")
	n, err := as[store.Archiver](o.store).Restore(t.Context(), bytes.NewReader(backup), func(key store.Key, rec *store.Record) error {
		if key.Manager == "cart" && len(rec.Data) > 1000 {
			return wrong
		}
		return nil
	})
	if n != 0 || !errors.Is(err, store.ErrBadBackup) || !errors.Is(err, wrong) || !strings.Contains(err.Error(), "cart") {
		t.Fatalf("what the caller refuses: %d, %v", n, err)
	}
	refused("nothing", nil)
	refused("another file", bytes.Repeat([]byte("another file "), 1000))
	refused("something follows", append(slices.Clone(backup), 0))
	refused("twice", append(slices.Clone(backup), backup...))
	step := len(backup)/150 + 1
	for i := 0; i < len(backup); i += step {
		refused("cut off", backup[:i])
		bad := slices.Clone(backup)
		bad[i] ^= 0x04
		refused("damaged", bad)
	}
	refused("cut off at the end", backup[:len(backup)-1])
	broken := errors.New("broken")
	if _, err := as[store.Archiver](o.store).Restore(t.Context(), io.MultiReader(bytes.NewReader(backup[:len(backup)/2]), iotest.ErrReader(broken)), nil); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	if err := a.Backup(t.Context(), brokenWriter{broken}); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	o.restore(backup, 39)
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }
