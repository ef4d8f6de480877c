package badgerstore

import (
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// Two principals may share a hash: the record decides whose a session is.
func TestPrincipalsThatShareAHash(t *testing.T) {
	s, clock := onClock(t, t.TempDir(), 0, nil)
	defer shut(t, s)
	for i, principal := range []string{"alice", "bob"} {
		rec := archive.Truncate(record("x"))
		rec.Created, rec.Accessed, rec.Principal = clock.Now(), clock.Now(), principal
		if err := s.Save(t.Context(), keyOf(byte(i)), store.Write{Record: rec}, store.Create()); err != nil {
			t.Fatal(err)
		}
	}
	n, _ := s.managers.number("shop")
	bobs := principalKey("alice", clock.Now(), n, keyOf(1).ID)
	if err := s.db.Update(func(txn *badger.Txn) error { return txn.Set(bobs, nil) }); err != nil {
		t.Fatal(err)
	}
	for _, order := range []store.Order{store.ByCreated, store.ByExpires} {
		page, err := s.Page(t.Context(), store.Query{Manager: "shop", Principal: "alice", Order: order, Limit: 10})
		if err != nil || len(page.Sessions) != 1 || page.Sessions[0].Principal != "alice" {
			t.Fatalf("%+v, %v", page, err)
		}
	}
	rec := archive.Truncate(record("y"))
	rec.Principal = "alice"
	w := store.Write{Record: rec, Limit: store.Limit{Sessions: 1, Evict: true}}
	if err := s.Save(t.Context(), keyOf(2), w, store.Create()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), keyOf(1)); err != nil {
		t.Fatalf("bob had to go for alice: %v", err)
	}
}
