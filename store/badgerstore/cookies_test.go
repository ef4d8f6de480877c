package badgerstore

import (
	"bytes"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
)

// TestCookiesEndWithTheirSession: nothing that is kept of a session that has
// ended, for its listeners, holds its cookies.
func TestCookiesEndWithTheirSession(t *testing.T) {
	s := openAt(t, t.TempDir(), at)
	defer shut(t, s)
	s.Subscribe(to("hook"))
	key := store.Key{Manager: "shop", ID: store.ID{1}}
	rec := record("last data")
	rec.Created, rec.Accessed, rec.Absolute = at, at, at.Add(rec.Idle)
	rec.Cookies = []byte("the jar of the session")
	w := store.Write{Record: rec, Events: []store.Event{{Kind: store.EventCreated}}}
	if err := s.Save(t.Context(), key, w, store.Create()); err != nil {
		t.Fatal(err)
	}
	if n := holding(t, s, rec.Cookies); n != 1 {
		t.Fatalf("the cookies are in %d places", n)
	}
	if err := s.Delete(t.Context(), key, store.Destroyed); err != nil {
		t.Fatal(err)
	}
	if n := holding(t, s, rec.Cookies); n != 0 {
		t.Fatalf("after the end the cookies are in %d places", n)
	}
	if n := holding(t, s, rec.Data); n != 1 {
		t.Fatalf("the last data is in %d places", n)
	}
}

// holding returns how many values hold a text.
func holding(t *testing.T, s *Store, text []byte) (n int) {
	t.Helper()
	err := s.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			b, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			if bytes.Contains(b, text) {
				n++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
