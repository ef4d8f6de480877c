package storetest

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// pages reads a whole listing, in parts, and returns the ids.
func (r *rig) pages(q store.Query) (ids []store.ID) {
	r.t.Helper()
	for {
		page, err := as[store.Pager](r.store).Page(r.t.Context(), q)
		if err != nil {
			r.t.Fatalf("listing %+v: %v", q, err)
		}
		if len(page.Sessions) > q.Limit {
			r.t.Fatalf("%d sessions in a page of at most %d", len(page.Sessions), q.Limit)
		}
		for _, info := range page.Sessions {
			ids = append(ids, info.ID)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return ids
		}
	}
}

func idOf(i int) (id store.ID) {
	binary.LittleEndian.PutUint32(id[:], uint32(i))
	return id
}

func testPage(t *testing.T, r *rig) {
	p := ability[store.Pager](t, r)
	if page, err := p.Page(t.Context(), store.Query{Manager: "nobody", Order: store.ByCreated, Limit: 10}); err != nil || len(page.Sessions) > 0 || page.Next != "" {
		t.Fatalf("got %+v, %v", page, err)
	}
	if _, err := p.Page(t.Context(), store.Query{Manager: "shop", Order: "other", Limit: 10}); err == nil {
		t.Fatal("an unknown order was taken")
	}
	const n = 50
	var created []store.ID
	for i := range n {
		r.create(store.Key{Manager: "shop", ID: idOf(i * 37)}, "x")
		created = append(created, idOf(i*37))
		if i%3 == 0 { // some begin at the same time
			r.clock.Advance(time.Second)
		}
	}
	r.create(keyOf("cart", 1), "another manager's")
	slices.Reverse(created)
	// What began at the same time is in order of ids.
	rec := make(map[store.ID]store.Record)
	for _, id := range created {
		rec[id] = r.load(store.Key{Manager: "shop", ID: id})
	}
	slices.SortStableFunc(created, func(a, b store.ID) int {
		if c := rec[b].Created.Compare(rec[a].Created); c != 0 {
			return c
		}
		return slices.Compare(a[:], b[:])
	})
	for _, limit := range []int{1, 7, n, n + 1, 1000} {
		if got := r.pages(store.Query{Manager: "shop", Order: store.ByCreated, Limit: limit}); !slices.Equal(got, created) {
			t.Fatalf("in pages of %d: got %v, want %v", limit, got, created)
		}
	}
	byExpires := slices.Clone(created)
	slices.SortFunc(byExpires, func(a, b store.ID) int {
		x, y := rec[a], rec[b]
		if c := x.Expires().Compare(y.Expires()); c != 0 {
			return c
		}
		return slices.Compare(a[:], b[:])
	})
	for _, limit := range []int{1, 7, n, 1000} {
		if got := r.pages(store.Query{Manager: "shop", Order: store.ByExpires, Limit: limit}); !slices.Equal(got, byExpires) {
			t.Fatalf("in pages of %d: got %v, want %v", limit, got, byExpires)
		}
	}
	t.Run("what has expired is left out, what is in use is not", func(t *testing.T) {
		r.clock.Advance(20 * time.Minute)
		key := store.Key{Manager: "shop", ID: created[10]}
		r.touch(key, rec[created[10]])
		r.clock.Advance(15 * time.Minute)
		for _, order := range []store.Order{store.ByCreated, store.ByExpires} {
			if got := r.pages(store.Query{Manager: "shop", Order: order, Limit: 3}); !slices.Equal(got, []store.ID{key.ID}) {
				t.Fatalf("by %s: got %v", order, got)
			}
		}
		if s, ok := store.As[store.Sweeper](r.store); ok {
			if _, _, err := s.Sweep(t.Context(), r.clock.Now(), 1000); err != nil {
				t.Fatal(err)
			}
			if got := r.pages(store.Query{Manager: "shop", Order: store.ByExpires, Limit: 3}); !slices.Equal(got, []store.ID{key.ID}) {
				t.Fatalf("got %v", got)
			}
		}
	})
	t.Run("everything is told", func(t *testing.T) {
		want := r.load(store.Key{Manager: "shop", ID: created[10]})
		page, err := p.Page(t.Context(), store.Query{Manager: "shop", Order: store.ByExpires, Limit: 3})
		if err != nil || len(page.Sessions) != 1 {
			t.Fatalf("got %+v, %v", page, err)
		}
		if got := page.Sessions[0]; got != want.Info(created[10]) {
			t.Fatalf("got %+v, want %+v", got, want.Info(created[10]))
		}
	})
}

func testPageByPrincipal(t *testing.T, r *rig) {
	p := ability[store.Pager](t, r)
	var alice, bob []store.ID
	for i := range 30 {
		rec := r.mustSignIn(store.Key{Manager: "shop", ID: idOf(i)}, []string{"alice", "bob"}[i%2], store.Limit{})
		if i%2 == 0 {
			alice = append(alice, idOf(i))
		} else {
			bob = append(bob, idOf(i))
		}
		if i%5 == 0 { // a save leaves it where it is
			r.save(store.Key{Manager: "shop", ID: idOf(i)}, rec, func(w *store.Write) { w.Data = []byte("y") })
		}
		r.clock.Advance(time.Second)
	}
	r.create(store.Key{Manager: "shop", ID: idOf(100)}, "nobody's")
	r.mustSignIn(store.Key{Manager: "cart", ID: idOf(1)}, "alice", store.Limit{})
	for principal, ids := range map[string][]store.ID{"alice": alice, "bob": bob, "carol": nil} {
		for _, limit := range []int{1, 4, 100} {
			if got := r.pages(store.Query{Manager: "shop", Principal: principal, Order: store.ByExpires, Limit: limit}); !slices.Equal(got, ids) {
				t.Fatalf("%s by expiry: got %v, want %v", principal, got, ids)
			}
		}
		slices.Reverse(ids)
		for _, limit := range []int{1, 4, 100} {
			if got := r.pages(store.Query{Manager: "shop", Principal: principal, Order: store.ByCreated, Limit: limit}); !slices.Equal(got, ids) {
				t.Fatalf("%s: got %v, want %v", principal, got, ids)
			}
		}
	}
	key := store.Key{Manager: "shop", ID: alice[0]}
	if err := r.store.Delete(t.Context(), key, store.Revoked); err != nil {
		t.Fatal(err)
	}
	if got := r.pages(store.Query{Manager: "shop", Principal: "alice", Order: store.ByCreated, Limit: 100}); !slices.Equal(got, alice[1:]) {
		t.Fatalf("got %v", got)
	}
	_ = p
}

func testCursors(t *testing.T, r *rig) {
	p := ability[store.Pager](t, r)
	for i := range 20 {
		r.mustSignIn(store.Key{Manager: "shop", ID: idOf(i)}, "alice", store.Limit{})
		r.mustSignIn(store.Key{Manager: "cart", ID: idOf(i)}, "bob", store.Limit{})
		r.clock.Advance(time.Second)
	}
	q := store.Query{Manager: "shop", Order: store.ByCreated, Limit: 5}
	page, err := p.Page(t.Context(), q)
	if err != nil || page.Next == "" {
		t.Fatalf("got %+v, %v", page, err)
	}
	for name, change := range map[string]func(*store.Query){
		"garbage":       func(q *store.Query) { q.Cursor = "garbage" },
		"cut off":       func(q *store.Query) { q.Cursor = q.Cursor[:len(q.Cursor)-1] },
		"continued":     func(q *store.Query) { q.Cursor += "A" },
		"line break":    func(q *store.Query) { q.Cursor += "\n" },
		"manager":       func(q *store.Query) { q.Manager = "cart" },
		"order":         func(q *store.Query) { q.Order = store.ByExpires },
		"principal":     func(q *store.Query) { q.Principal = "alice" },
		"first changed": func(q *store.Query) { q.Cursor = changed(q.Cursor, 0) },
		"last changed":  func(q *store.Query) { q.Cursor = changed(q.Cursor, len(q.Cursor)-1) },
	} {
		bad := q
		bad.Cursor = page.Next
		change(&bad)
		if got, err := p.Page(t.Context(), bad); !errors.Is(err, store.ErrBadCursor) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	t.Run("sessions come and go", func(t *testing.T) {
		seen := make(map[store.ID]int)
		q := store.Query{Manager: "shop", Order: store.ByCreated, Limit: 5}
		for i := 100; ; i++ {
			page, err := p.Page(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, info := range page.Sessions {
				seen[info.ID]++
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
			r.create(store.Key{Manager: "shop", ID: idOf(i)}, "new")
			// Even the one that the cursor stands at.
			last := page.Sessions[len(page.Sessions)-1]
			if err := r.store.Delete(t.Context(), store.Key{Manager: "shop", ID: last.ID}, store.Destroyed); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 20 {
			if seen[idOf(i)] != 1 {
				t.Errorf("session %d was listed %d times", i, seen[idOf(i)])
			}
		}
	})
}

func changed(s string, i int) string {
	b := []byte(s)
	if b[i] ^= 1; b[i] == s[i] {
		b[i]++
	}
	return string(b)
}

func testCounts(t *testing.T, r *rig) {
	c := ability[store.Counter](t, r)
	expect := func(want map[string]int64) {
		t.Helper()
		all, err := c.Counts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(all, func(a, b store.Count) int {
			if a.Manager < b.Manager {
				return -1
			}
			return 1
		}) {
			t.Fatalf("not in order: %v", all)
		}
		got := make(map[string]int64)
		for _, c := range all {
			if c.Sessions != 0 {
				got[c.Manager] = c.Sessions
			}
		}
		if len(got) != len(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		for m, n := range want {
			if got[m] != n {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
	}
	expect(nil)
	r.subscribe("hook")
	for i := range byte(10) {
		rec := r.create(keyOf("shop", i), "x")
		r.save(keyOf("shop", i), rec, func(w *store.Write) { w.Principal = "alice" })
	}
	r.create(keyOf("cart", 1), "x")
	expect(map[string]int64{"shop": 10, "cart": 1})
	for range 2 {
		if err := r.store.Delete(t.Context(), keyOf("shop", 3), store.Destroyed); err != nil {
			t.Fatal(err)
		}
	}
	expect(map[string]int64{"shop": 9, "cart": 1})
	r.clock.Advance(time.Hour)
	expect(map[string]int64{"shop": 9, "cart": 1}) // expired, and not swept
	r.create(keyOf("shop", 4), "replaces")
	expect(map[string]int64{"shop": 9, "cart": 1})
	if !r.engine.Volatile {
		r.reopen()
		c = as[store.Counter](r.store)
		expect(map[string]int64{"shop": 9, "cart": 1})
	}
	if _, ok := store.As[store.Sweeper](r.store); ok {
		r.sweeps(9)
		expect(map[string]int64{"shop": 1})
	}
}

// hasOutbox reports whether the store keeps events.
func (r *rig) hasOutbox() bool {
	_, ok := store.As[store.Outbox](r.store)
	return ok
}
