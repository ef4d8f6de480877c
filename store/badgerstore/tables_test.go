package badgerstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/store"
)

// TestATableCannotBeMade: the engine tries for ever, and what is written
// meanwhile would wait for it for ever.
func TestATableCannotBeMade(t *testing.T) {
	f := openFaulty(t, t.TempDir(), nil)
	defer shut(t, f.Store)
	free := f.block(tables(1)...)
	saved, err := f.fill()
	if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknown) {
		t.Fatal(err)
	}
	if f.broken() != nil {
		t.Fatal("the engine can be used on")
	}
	free()
	until(t, "the table", func() bool { return f.writable() == nil })
	f.all(saved)
}

// TestACompactionWaitsUntilItCanWrite: the engine takes a table that a
// compaction could not make for one that is not needed, and removes the old ones.
func TestACompactionWaitsUntilItCanWrite(t *testing.T) {
	dir := t.TempDir()
	var keys []store.Key
	for n := range byte(8) { // each close makes a table
		s := open(t, dir, nil)
		if n == 7 { // one more level, and then one more table
			if err := s.db.Flatten(1); err != nil {
				t.Fatal(err)
			}
		}
		create(t, s, keyOf(n), "x")
		keys = append(keys, keyOf(n))
		shut(t, s)
	}
	f := openFaulty(t, dir, func(o *Options) { o.CacheBytes = 1 })
	defer shut(t, f.Store)
	f.inodes.Store(0)
	last := 0
	names, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(names) < 2 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		var n int
		if _, err := fmt.Sscanf(filepath.Base(name), "%d.sst", &n); err != nil {
			t.Fatal(err)
		}
		last = max(last, n)
	}
	free := f.block(tables(last + 1)...)
	compacted := make(chan error, 1)
	go func() { compacted <- f.db.Flatten(1) }()
	until(t, "the gate", func() bool { return f.space.Held() != nil })
	f.space.Refresh()
	if err := f.writable(); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("writing meanwhile: %v", err)
	}
	select {
	case err := <-compacted:
		t.Fatalf("the compaction did not wait: %v", err)
	default:
	}
	free()
	f.inodes.Store(1 << 20)
	if err := <-compacted; err != nil {
		t.Fatal(err)
	}
	f.all(keys)
}

// TestTheValueLogCannotBeMade: that is at the opening.
func TestTheValueLogCannotBeMade(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "000001.vlog"), 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(Options{Dir: dir}); err == nil {
		shut(t, s)
		t.Fatal("opened")
	} else if strings.Contains(err.Error(), restore) {
		t.Fatalf("gives the store up: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "000001.vlog")); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, nil)
	create(t, s, keyOf(1), "x")
	shut(t, s)
}
