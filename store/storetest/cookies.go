package storetest

import (
	"bytes"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// testCookies shows that the cookie jar belongs to the record as its data
// does, and is not taken for a part of it.
func testCookies(t *testing.T, r *rig) {
	key := keyOf("shop", 1)
	save := func(t *testing.T, rec store.Record, cond store.Condition) {
		t.Helper()
		if err := r.store.Save(t.Context(), key, store.Write{Record: rec}, cond); err != nil {
			t.Fatal(err)
		}
		if got := r.load(key); !same(got, rec) {
			t.Fatalf("got %d bytes of data and %d of cookies, want %d and %d", len(got.Data), len(got.Cookies), len(rec.Data), len(rec.Cookies))
		}
	}
	rec := r.record("{}")
	rec.Cookies = []byte("\x00jar")
	save(t, rec, store.Create())
	for _, size := range [][2]int{{0, 1}, {1, 0}, {store.MaxData, store.MaxCookies}, {store.MaxData, 0}, {0, store.MaxCookies}, {2, 300}} {
		before := rec.Version
		rec = next(rec, string(bytes.Repeat([]byte("d"), size[0])))
		rec.Cookies = bytes.Repeat([]byte("c"), size[1])
		save(t, rec, store.IfVersion(before))
	}
	t.Run("a use leaves them alone", func(t *testing.T) {
		r.clock.Advance(time.Minute)
		r.touch(key, rec)
		if got := r.load(key); !bytes.Equal(got.Cookies, rec.Cookies) {
			t.Fatalf("got %q", got.Cookies)
		}
	})
	t.Run("a change inside the store sees them", func(t *testing.T) {
		u := ability[store.Updater](t, r)
		saved, err := u.Update(t.Context(), key, func(now store.Record) (store.Write, error) {
			now = next(now, "changed")
			now.Cookies = append(bytes.Clone(now.Cookies), "more"...)
			return store.Write{Record: now}, nil
		})
		if want := string(rec.Cookies) + "more"; err != nil || string(saved.Cookies) != want || string(r.load(key).Cookies) != want {
			t.Fatalf("%q, %v", saved.Cookies, err)
		}
	})
	t.Run("a listing has the size of the data alone", func(t *testing.T) {
		for info, err := range r.store.List(t.Context(), "shop", store.ID{}) {
			if err != nil || info.Size != len(r.load(key).Data) {
				t.Fatalf("%+v, %v", info, err)
			}
		}
	})
}
