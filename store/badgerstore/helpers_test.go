package badgerstore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

func keyOf(n byte) store.Key { return store.Key{Manager: "shop", ID: store.ID{n}} }

func record(data string) store.Record {
	now := time.Now()
	return store.Record{
		Data: []byte(data), Created: now, Written: now, Accessed: now,
		Idle: 30 * time.Minute, Absolute: now.Add(12 * time.Hour),
		Incarnation: store.NewIncarnation(), Version: store.Version{}.Next(),
	}
}

func create(t testing.TB, s *Store, key store.Key, data string) store.Record {
	t.Helper()
	rec := record(data)
	if err := s.Save(t.Context(), key, store.Write{Record: rec}, store.Create()); err != nil {
		t.Fatal(err)
	}
	return rec
}

func shut(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(e.Name() + " " + info.ModTime().String() + "\n")
	}
	return b.String()
}
