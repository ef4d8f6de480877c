package storetest

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

func testLoad(t *testing.T, r *rig) {
	t.Run("what never was", func(t *testing.T) { r.gone(keyOf("shop", 1)) })
	t.Run("everything comes back", func(t *testing.T) {
		rec := r.record(`{"a":"` + string(make([]byte, 5000)) + `"}`)
		rec.Principal = "Zoë\x00"
		rec.Since, rec.OwnIdle = r.clock.Now().Add(-time.Hour), true
		rec.PreviousNonce, rec.PreviousUntil = [16]byte{9}, r.clock.Now().Add(time.Minute)
		if err := r.store.Save(t.Context(), keyOf("shop", 2), store.Write{Record: rec}, store.Create()); err != nil {
			t.Fatal(err)
		}
		if got := r.load(keyOf("shop", 2)); !same(got, rec) {
			t.Fatalf("got %+v, want %+v", got, rec)
		}
	})
	t.Run("another manager does not see it", func(t *testing.T) {
		r.gone(keyOf("cart", 2))
		r.gone(keyOf("", 2))
	})
}

func testSave(t *testing.T, r *rig) {
	for i, tc := range []struct {
		name string
		save func(rec store.Record) (store.Record, store.Condition)
		want error
	}{
		{"with its version", func(rec store.Record) (store.Record, store.Condition) {
			return next(rec, "new"), store.IfVersion(rec.Version)
		}, nil},
		{"with an older version", func(rec store.Record) (store.Record, store.Condition) {
			return next(rec, "new"), store.IfVersion(store.Version{Counter: rec.Version.Counter - 1, Nonce: 7})
		}, store.ErrConflict},
		{"with the counter of another history", func(rec store.Record) (store.Record, store.Condition) {
			return next(rec, "new"), store.IfVersion(store.Version{Counter: rec.Version.Counter, Nonce: rec.Version.Nonce + 1})
		}, store.ErrConflict},
		{"creating what is there", func(rec store.Record) (store.Record, store.Condition) {
			return next(rec, "new"), store.Create()
		}, store.ErrConflict},
		{"of another incarnation", func(rec store.Record) (store.Record, store.Condition) {
			n := next(rec, "new")
			n.Incarnation++
			return n, store.IfVersion(rec.Version)
		}, store.ErrGone},
		{"the same save again", func(rec store.Record) (store.Record, store.Condition) {
			return rec, store.Create()
		}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			key := keyOf("shop", byte(i+1))
			rec := r.create(key, "old")
			n, cond := tc.save(rec)
			if err := r.store.Save(t.Context(), key, store.Write{Record: n}, cond); !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			want := rec
			if tc.want == nil {
				want = n
			}
			if got := r.load(key); !same(got, want) {
				t.Fatalf("got %+v, want %+v", got, want)
			}
		})
	}
	t.Run("what is absent is not brought back", func(t *testing.T) {
		rec := r.record("x")
		if err := r.store.Save(t.Context(), keyOf("shop", 100), store.Write{Record: next(rec, "y")}, store.IfVersion(rec.Version)); !isGone(err) {
			t.Fatalf("got %v", err)
		}
		r.gone(keyOf("shop", 100))
	})
	t.Run("repeating a save that another has followed is a conflict", func(t *testing.T) {
		key := keyOf("shop", 101)
		first := r.create(key, "1")
		second, third := next(first, "2"), next(next(first, "2"), "3")
		if err := r.store.Save(t.Context(), key, store.Write{Record: second}, store.IfVersion(first.Version)); err != nil {
			t.Fatal(err)
		}
		third.Version = second.Version.Next()
		if err := r.store.Save(t.Context(), key, store.Write{Record: third}, store.IfVersion(second.Version)); err != nil {
			t.Fatal(err)
		}
		if err := r.store.Save(t.Context(), key, store.Write{Record: second}, store.IfVersion(first.Version)); !errors.Is(err, store.ErrConflict) {
			t.Fatalf("got %v", err)
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

func testDelete(t *testing.T, r *rig) {
	key := keyOf("shop", 1)
	if err := r.store.Delete(t.Context(), key, store.Destroyed); err != nil {
		t.Fatalf("deleting what is absent: %v", err)
	}
	rec := r.create(key, "x")
	r.create(keyOf("cart", 1), "y")
	if err := r.store.Delete(t.Context(), key, store.Destroyed); err != nil {
		t.Fatal(err)
	}
	r.gone(key)
	r.load(keyOf("cart", 1))
	if err := r.store.Save(t.Context(), key, store.Write{Record: next(rec, "z")}, store.IfVersion(rec.Version)); !isGone(err) {
		t.Fatalf("a save brought it back: %v", err)
	}
	if err := r.store.Touch(t.Context(), store.Touch{Key: key, Incarnation: rec.Incarnation, Accessed: r.clock.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	r.gone(key)
	again := r.create(key, "again")
	if got := r.load(key); !same(got, again) {
		t.Fatalf("the new life has something of the old one: %+v", got)
	}
}

func testTouch(t *testing.T, r *rig) {
	key := keyOf("shop", 1)
	rec := r.create(key, "x")
	touch := func(incarnation uint64, d time.Duration) time.Time {
		t.Helper()
		at := rec.Accessed.Add(d)
		if err := r.store.Touch(t.Context(), store.Touch{Key: key, Incarnation: incarnation, Accessed: at}); err != nil {
			t.Fatal(err)
		}
		return at
	}
	accessed := func(want time.Time) {
		t.Helper()
		got := r.load(key)
		if !got.Accessed.Equal(want) || got.Version != rec.Version || string(got.Data) != string(rec.Data) {
			t.Fatalf("got %+v, want it accessed at %v", got, want)
		}
	}
	second := touch(rec.Incarnation, time.Second)
	accessed(second) // at once
	minute := touch(rec.Incarnation, 10*time.Minute)
	accessed(minute)
	touch(rec.Incarnation, time.Minute) // never back
	accessed(minute)
	touch(rec.Incarnation+1, time.Hour) // another life
	accessed(minute)
	if err := r.store.Touch(t.Context(), store.Touch{Key: keyOf("shop", 9), Incarnation: 1, Accessed: minute}); err != nil {
		t.Fatalf("touching what is absent: %v", err)
	}
	t.Run("a save does not move it back", func(t *testing.T) {
		n := next(rec, "y") // loaded before the touches
		if err := r.store.Save(t.Context(), key, store.Write{Record: n}, store.IfVersion(rec.Version)); err != nil {
			t.Fatal(err)
		}
		rec = n
		accessed(minute)
	})
}

func testExpiry(t *testing.T, r *rig) {
	step := func(d time.Duration) { r.clock.Advance(d) }
	t.Run("idle, with the slack", func(t *testing.T) {
		key := keyOf("shop", 1)
		rec := r.create(key, "x")
		step(rec.Idle + store.TouchSlack(rec.Idle) - time.Millisecond)
		r.load(key)
		step(time.Millisecond)
		r.gone(key)
		if err := r.store.Save(t.Context(), key, store.Write{Record: next(rec, "y")}, store.IfVersion(rec.Version)); !isGone(err) {
			t.Fatalf("saving what has expired: %v", err)
		}
		if err := r.store.Touch(t.Context(), store.Touch{Key: key, Incarnation: rec.Incarnation, Accessed: r.clock.Now()}); err != nil {
			t.Fatal(err)
		}
		r.gone(key)
		r.create(key, "anew")
		if got := r.load(key); string(got.Data) != "anew" {
			t.Fatalf("got %+v", got)
		}
	})
	t.Run("a touch keeps it alive", func(t *testing.T) {
		key := keyOf("shop", 2)
		rec := r.create(key, "x")
		for range 5 {
			step(rec.Idle - time.Second)
			if err := r.store.Touch(t.Context(), store.Touch{Key: key, Incarnation: rec.Incarnation, Accessed: r.clock.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		r.load(key)
	})
	t.Run("absolute, whatever the touches", func(t *testing.T) {
		key := keyOf("shop", 3)
		rec := r.record("x")
		rec.Absolute = r.clock.Now().Add(time.Minute)
		if err := r.store.Save(t.Context(), key, store.Write{Record: rec}, store.Create()); err != nil {
			t.Fatal(err)
		}
		if err := r.store.Touch(t.Context(), store.Touch{Key: key, Incarnation: rec.Incarnation, Accessed: r.clock.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		step(time.Minute)
		r.gone(key)
	})
}

func testUpdate(t *testing.T, r *rig) {
	u := ability[store.Updater](t, r)
	key := keyOf("shop", 1)
	called := false
	change := func(rec store.Record) (store.Write, error) {
		called = true
		return store.Write{Record: next(rec, "changed")}, nil
	}
	if _, err := u.Update(t.Context(), key, change); !isGone(err) || called {
		t.Fatalf("updating what is absent: %v, called: %v", err, called)
	}
	rec := r.create(key, "x")
	mine := errors.New("mine")
	if _, err := u.Update(t.Context(), key, func(store.Record) (store.Write, error) { return store.Write{}, mine }); !errors.Is(err, mine) {
		t.Fatalf("got %v", err)
	}
	if got := r.load(key); !same(got, rec) {
		t.Fatalf("a failed change was saved: %+v", got)
	}
	saved, err := u.Update(t.Context(), key, change)
	if err != nil || string(saved.Data) != "changed" {
		t.Fatalf("got %+v, %v", saved, err)
	}
	if got := r.load(key); !same(got, saved) {
		t.Fatalf("got %+v, want %+v", got, saved)
	}
}
