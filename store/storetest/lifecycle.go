package storetest

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

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
