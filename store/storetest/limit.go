package storetest

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// signIn begins a session of a principal.
func (r *rig) signIn(key store.Key, principal string, limit store.Limit) (store.Record, error) {
	rec := r.record("x")
	rec.Principal = principal
	r.subscribe("hook")
	w := store.Write{Record: rec, Limit: limit}
	return rec, r.store.Save(r.t.Context(), key, w, store.Create())
}

func (r *rig) mustSignIn(key store.Key, principal string, limit store.Limit) store.Record {
	r.t.Helper()
	rec, err := r.signIn(key, principal, limit)
	if err != nil {
		r.t.Fatalf("signing in: %v", err)
	}
	return rec
}

// of returns the ids of a principal's sessions, the last one first.
func (r *rig) of(manager, principal string) (ids []byte) {
	r.t.Helper()
	page, err := as[store.Pager](r.store).Page(r.t.Context(), store.Query{Manager: manager, Principal: principal, Order: store.ByCreated, Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, info := range page.Sessions {
		ids = append(ids, info.ID[0])
	}
	return ids
}

func testLimit(t *testing.T, r *rig) {
	ability[store.Pager](t, r)
	expect := func(t *testing.T, principal string, want ...byte) {
		t.Helper()
		if got := r.of("shop", principal); !slices.Equal(got, want) {
			t.Fatalf("%s has %v, want %v", principal, got, want)
		}
	}
	evict, refuse := store.Limit{Sessions: 2, Evict: true}, store.Limit{Sessions: 2}
	r.mustSignIn(keyOf("cart", 1), "alice", evict) // another manager's
	for i := range byte(3) {
		r.clock.Advance(time.Second)
		r.mustSignIn(keyOf("shop", i+1), "alice", store.Limit{})
	}
	expect(t, "alice", 3, 2, 1)
	t.Run("refused", func(t *testing.T) {
		if _, err := r.signIn(keyOf("shop", 4), "alice", refuse); !errors.Is(err, store.ErrLimit) {
			t.Fatalf("got %v", err)
		}
		r.gone(keyOf("shop", 4))
		expect(t, "alice", 3, 2, 1)
	})
	t.Run("those that began first go, as many as it takes", func(t *testing.T) {
		r.ends()
		r.clock.Advance(time.Second)
		r.mustSignIn(keyOf("shop", 4), "alice", evict)
		expect(t, "alice", 4, 3)
		r.gone(keyOf("shop", 1))
		r.load(keyOf("cart", 1))
		if _, ok := store.As[store.Observable](r.store); ok {
			want := []store.Ended{{Key: keyOf("shop", 1), Reason: store.Evicted, Principal: "alice"}, {Key: keyOf("shop", 2), Reason: store.Evicted, Principal: "alice"}}
			if got := r.ends(); !slices.Equal(got, want) {
				t.Fatalf("told of %v", got)
			}
		}
		if _, ok := store.As[store.Outbox](r.store); ok {
			saying(t, r.due("hook", 10), "shop 1 delete evicted", "shop 2 delete evicted")
		}
	})
	t.Run("a session that stays signed in is not judged", func(t *testing.T) {
		r.save(keyOf("shop", 3), r.load(keyOf("shop", 3)), func(w *store.Write) { w.Limit = store.Limit{Sessions: 1} })
		expect(t, "alice", 4, 3)
	})
	t.Run("signing in later, as another, and out", func(t *testing.T) {
		r.clock.Advance(time.Second)
		key := keyOf("shop", 5)
		rec := r.create(key, "x")
		n := store.Write{Record: next(rec, "y"), Limit: refuse}
		n.Principal = "alice"
		if err := r.store.Save(t.Context(), key, n, store.IfVersion(rec.Version)); !errors.Is(err, store.ErrLimit) {
			t.Fatalf("got %v", err)
		}
		if got := r.load(key); !same(got, rec) {
			t.Fatalf("a save that was refused has changed it: %+v", got)
		}
		if u, ok := store.As[store.Updater](r.store); ok {
			if _, err := u.Update(t.Context(), key, func(store.Record) (store.Write, error) { return n, nil }); !errors.Is(err, store.ErrLimit) {
				t.Fatalf("got %v", err)
			}
		}
		n.Limit = evict
		if err := r.store.Save(t.Context(), key, n, store.IfVersion(rec.Version)); err != nil {
			t.Fatal(err)
		}
		expect(t, "alice", 5, 4)
		rec = r.save(key, n.Record, func(w *store.Write) { w.Principal, w.Limit = "bob", refuse })
		expect(t, "alice", 4)
		expect(t, "bob", 5)
		r.save(key, rec, func(w *store.Write) { w.Principal, w.Limit = "", store.Limit{Sessions: 1} })
		expect(t, "bob")
	})
	t.Run("what has expired does not count", func(t *testing.T) {
		r.mustSignIn(keyOf("shop", 6), "carol", refuse)
		r.mustSignIn(keyOf("shop", 7), "carol", refuse)
		r.clock.Advance(time.Hour)
		r.mustSignIn(keyOf("shop", 8), "carol", refuse)
		expect(t, "carol", 8)
	})
	t.Run("so many that one step cannot take them", func(t *testing.T) {
		large := make([]byte, store.MaxData)
		for i := range byte(20) {
			rec := r.record("")
			rec.Data, rec.Principal = large, "dave"
			if err := r.store.Save(t.Context(), keyOf("shop", 100+i), store.Write{Record: rec}, store.Create()); err != nil {
				t.Fatal(err)
			}
			r.clock.Advance(time.Millisecond)
		}
		r.ends()
		r.mustSignIn(keyOf("shop", 99), "dave", store.Limit{Sessions: 1, Evict: true})
		expect(t, "dave", 99)
		if _, ok := store.As[store.Observable](r.store); ok && len(r.ends()) != 20 {
			t.Fatal("not each end was told of once")
		}
	})
}

// testParallelSignIns: however many sign in at once, no principal has too many sessions.
func testParallelSignIns(t *testing.T, r *rig) {
	ability[store.Pager](t, r)
	const clients, most = 100, 5
	for _, evict := range []bool{true, false} {
		principal := map[bool]string{true: "evict", false: "refuse"}[evict]
		limit := store.Limit{Sessions: most, Evict: evict}
		var wg sync.WaitGroup
		var refused, overshoot atomic.Int64
		for i := range byte(clients) {
			wg.Go(func() {
				key := store.Key{Manager: "shop", ID: store.ID{i, principal[0]}}
				if i%2 == 0 {
					_, err := r.signIn(key, principal, limit)
					switch {
					case errors.Is(err, store.ErrLimit):
						refused.Add(1)
					case err != nil:
						t.Error(err)
					}
				} else { // a session that is there signs in
					rec := r.create(key, "x")
					w := store.Write{Record: next(rec, "y"), Limit: limit}
					w.Principal = principal
					err := r.store.Save(t.Context(), key, w, store.IfVersion(rec.Version))
					switch {
					case errors.Is(err, store.ErrLimit):
						refused.Add(1)
					case err != nil:
						t.Error(err)
					}
				}
				if len(r.of("shop", principal)) > most {
					overshoot.Add(1)
				}
			})
		}
		wg.Wait()
		if n := len(r.of("shop", principal)); n != most || overshoot.Load() > 0 {
			t.Errorf("%s: %d sessions, want %d; too many were seen %d times", principal, n, most, overshoot.Load())
		}
		if want := int64(clients - most); !evict && refused.Load() != want || evict && refused.Load() > 0 {
			t.Errorf("%s: %d were refused", principal, refused.Load())
		}
	}
}
