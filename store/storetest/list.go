package storetest

import (
	"strconv"
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
