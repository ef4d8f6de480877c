package storetest

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

func testList(t *testing.T, r *rig) {
	const n = 600 // more than a page of any engine that we know
	want := make(map[store.ID]store.Record)
	for i := range n {
		key := store.Key{Manager: "shop", ID: store.ID{byte(i * 7), byte(i >> 8), 1}}
		want[key.ID] = r.create(key, strconv.Itoa(i))
	}
	r.create(keyOf("cart", 1), "other")
	short := r.record("short")
	short.Absolute = r.clock.Now().Add(time.Second)
	if err := r.store.Save(t.Context(), keyOf("shop", 255), store.Write{Record: short}, store.Create()); err != nil {
		t.Fatal(err)
	}
	r.clock.Advance(time.Second)

	var ids []store.ID
	for info, err := range r.store.List(t.Context(), "shop", store.ID{}) {
		if err != nil {
			t.Fatal(err)
		}
		rec, ok := want[info.ID]
		if !ok || info != rec.Info(info.ID) && !info.Accessed.Equal(rec.Accessed) || info.Version != rec.Version || info.Size != len(rec.Data) {
			t.Fatalf("got %+v, want %+v", info, rec.Info(info.ID))
		}
		if len(ids) > 0 && string(ids[len(ids)-1][:]) >= string(info.ID[:]) {
			t.Fatal("not in order")
		}
		ids = append(ids, info.ID)
	}
	if len(ids) != n {
		t.Fatalf("%d listed, want %d", len(ids), n)
	}
	t.Run("from the middle, and stop", func(t *testing.T) {
		var got []store.ID
		for info, err := range r.store.List(t.Context(), "shop", ids[299]) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, info.ID); len(got) == 3 {
				break
			}
		}
		if len(got) != 3 || got[0] != ids[300] || got[2] != ids[302] {
			t.Fatalf("got %v", got)
		}
	})
	t.Run("nobody's", func(t *testing.T) {
		for info, err := range r.store.List(t.Context(), "nobody", store.ID{}) {
			t.Fatalf("got %+v, %v", info, err)
		}
	})
	t.Run("the store may be used meanwhile", func(t *testing.T) {
		for info, err := range r.store.List(t.Context(), "shop", ids[len(ids)-3]) {
			if err != nil {
				t.Fatal(err)
			}
			if err := r.store.Delete(t.Context(), store.Key{Manager: "shop", ID: info.ID}, store.Destroyed); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// testConcurrentSaves: of the saves that expect one version, one happens.
func testConcurrentSaves(t *testing.T, r *rig) {
	const clients, rounds = 8, 25
	key := keyOf("shop", 1)
	r.create(key, "0")
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for done := 0; done < rounds; {
				rec, err := r.store.Load(t.Context(), key)
				if err != nil {
					t.Error(err)
					return
				}
				n, err := strconv.Atoi(string(rec.Data))
				if err != nil {
					t.Error(err)
					return
				}
				err = r.store.Save(t.Context(), key, store.Write{Record: next(rec, strconv.Itoa(n+1))}, store.IfVersion(rec.Version))
				switch {
				case err == nil:
					done++
				case !errors.Is(err, store.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got := string(r.load(key).Data); got != strconv.Itoa(clients*rounds) {
		t.Fatalf("%s saves were counted, want %d", got, clients*rounds)
	}
}

func calls(s store.Store, key store.Key, rec store.Record) map[string]func(context.Context) error {
	all := map[string]func(context.Context) error{
		"load": func(ctx context.Context) error { _, err := s.Load(ctx, key); return err },
		"save": func(ctx context.Context) error {
			return s.Save(ctx, key, store.Write{Record: next(rec, "new")}, store.IfVersion(rec.Version))
		},
		"delete": func(ctx context.Context) error { return s.Delete(ctx, key, store.Destroyed) },
		"touch": func(ctx context.Context) error {
			return s.Touch(ctx, store.Touch{Key: key, Incarnation: rec.Incarnation, Accessed: rec.Accessed.Add(time.Minute)})
		},
		"list": func(ctx context.Context) error {
			for _, err := range s.List(ctx, key.Manager, store.ID{}) {
				return err
			}
			return nil
		},
	}
	if u, ok := store.As[store.Updater](s); ok {
		all["update"] = func(ctx context.Context) error {
			_, err := u.Update(ctx, key, func(rec store.Record) (store.Write, error) { return store.Write{Record: next(rec, "new")}, nil })
			return err
		}
	}
	if w, ok := store.As[store.Sweeper](s); ok {
		all["sweep"] = func(ctx context.Context) error { _, _, err := w.Sweep(ctx, time.Now(), 10); return err }
	}
	if p, ok := store.As[store.Pager](s); ok {
		all["page"] = func(ctx context.Context) error {
			_, err := p.Page(ctx, store.Query{Manager: key.Manager, Order: store.ByCreated, Limit: 1})
			return err
		}
	}
	if c, ok := store.As[store.Counter](s); ok {
		all["counts"] = func(ctx context.Context) error { _, err := c.Counts(ctx); return err }
	}
	if o, ok := store.As[store.Outbox](s); ok {
		all["deliveries"] = func(ctx context.Context) error { _, _, err := o.Deliveries(ctx, "hook", 1); return err }
		all["settle"] = func(ctx context.Context) error { return o.Settle(ctx, store.Settlement{ID: "x"}) }
		all["dead letters"] = func(ctx context.Context) error { _, err := o.DeadLetters(ctx, "", 1); return err }
		all["revive"] = func(ctx context.Context) error { return o.RetryDeadLetter(ctx, "x") }
		all["bury"] = func(ctx context.Context) error { return o.DeleteDeadLetter(ctx, "x") }
		all["discard"] = func(ctx context.Context) error { _, err := o.PurgeListener(ctx, "hook"); return err }
		all["backlog"] = func(ctx context.Context) error { _, err := o.Backlog(ctx); return err }
	}
	if a, ok := store.As[store.Archiver](s); ok {
		all["backup"] = func(ctx context.Context) error { return a.Backup(ctx, io.Discard) }
		all["restore"] = func(ctx context.Context) error {
			_, err := a.Restore(ctx, strings.NewReader(""), nil)
			return err
		}
	}
	return all
}

func testCancelled(t *testing.T, r *rig) {
	key := keyOf("shop", 1)
	rec := r.create(key, "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range calls(r.store, key, rec) {
		t.Run(name, func(t *testing.T) {
			if err := call(ctx); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
			if got := r.load(key); !same(got, rec) { //nolint:contextcheck // the cancelled one is the point
				t.Fatalf("it had an effect: %+v", got)
			}
		})
	}
}

func testClosed(t *testing.T, r *rig) {
	key := keyOf("shop", 1)
	rec := r.create(key, "x")
	r.close()
	for name, call := range calls(r.store, key, rec) {
		t.Run(name, func(t *testing.T) {
			if err := call(t.Context()); !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func testReopen(t *testing.T, r *rig) {
	if r.engine.Volatile {
		t.Skip("this store keeps nothing, as it says itself")
	}
	key := keyOf("shop", 1)
	rec := r.create(key, "x")
	gone := r.create(keyOf("shop", 2), "gone")
	if err := r.store.Delete(t.Context(), keyOf("shop", 2), store.Destroyed); err != nil {
		t.Fatal(err)
	}
	rec.Accessed = rec.Accessed.Add(time.Second)
	if err := r.store.Touch(t.Context(), store.Touch{Key: key, Incarnation: rec.Incarnation, Accessed: rec.Accessed}); err != nil {
		t.Fatal(err)
	}
	r.reopen()
	if got := r.load(key); !same(got, rec) {
		t.Fatalf("got %+v, want %+v", got, rec)
	}
	r.gone(keyOf("shop", 2))
	if err := r.store.Save(t.Context(), keyOf("shop", 2), store.Write{Record: next(gone, "y")}, store.IfVersion(gone.Version)); !isGone(err) {
		t.Fatalf("got %v", err)
	}
}
