package badgerstore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/rawfiles"
)

func TestOpenRefusesDamage(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   string // in the error
		opens  bool   // the engine has to look inside
	}{
		{"MANIFEST is missing", func(t *testing.T, dir string) { remove(t, dir, "MANIFEST") }, "MANIFEST is missing", false},
		{"MANIFEST is garbage", func(t *testing.T, dir string) { write(t, dir, "MANIFEST", "garbage garbage garbage") }, "backup", true},
		{"marker is garbage", func(t *testing.T, dir string) { write(t, dir, markerFile, "{") }, "damaged", false},
		{"marker of a later format", func(t *testing.T, dir string) {
			write(t, dir, markerFile, fmt.Sprintf(`{"format":%d,"store":"x"}`, markerFormat+1))
		}, fmt.Sprint("format ", markerFormat+1), false},
		{"marker of another store", func(t *testing.T, dir string) {
			write(t, dir, markerFile, `{"format":1,"store":"another"}`)
		}, "another one", true},
		{"all but the marker is missing", func(t *testing.T, dir string) {
			names, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				if filepath.Base(name) != markerFile {
					remove(t, dir, filepath.Base(name))
				}
			}
		}, "MANIFEST is missing", false},
		{"a table of zeros", func(t *testing.T, dir string) {
			tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
			if err != nil || len(tables) == 0 {
				t.Fatalf("no table: %v", err)
			}
			info, err := os.Stat(tables[0])
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, filepath.Base(tables[0]), string(make([]byte, info.Size())))
		}, "damaged", false},
		{"a table cut off", func(t *testing.T, dir string) {
			tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
			if err != nil || len(tables) == 0 {
				t.Fatalf("no table: %v", err)
			}
			write(t, dir, filepath.Base(tables[0]), "x")
		}, "cut off", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, dir, nil)
			create(t, s, keyOf(1), "x")
			shut(t, s)
			tc.damage(t, dir)
			before := listing(t, dir)
			s, err := Open(Options{Dir: dir, Reserve: 1})
			if err == nil {
				shut(t, s)
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), dir) {
				t.Fatalf("got %v", err)
			}
			if after := listing(t, dir); !tc.opens && before != after {
				t.Fatalf("the refusal changed the files:\n%s\n%s", before, after)
			}
		})
	}
}

func TestOpenRefusesOthers(t *testing.T) {
	t.Run("a second opener", func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir, nil)
		defer shut(t, s)
		_, err := Open(Options{Dir: dir, Reserve: 1})
		if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "reload") {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("a database that is no session store", func(t *testing.T) {
		dir := t.TempDir()
		db, err := badger.Open(badger.DefaultOptions(dir).WithLogger(nil).WithMemTableSize(memTableSize))
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(func(txn *badger.Txn) error { return txn.Set([]byte("theirs"), []byte("x")) }); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Options{Dir: dir, Reserve: 1}); err == nil || !strings.Contains(err.Error(), "no session store") {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("another encryption key, or none", func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir, func(o *Options) { o.EncryptionKey = []byte(strings.Repeat("k", 32)) })
		create(t, s, keyOf(1), "x")
		shut(t, s)
		for _, key := range []string{strings.Repeat("j", 32), ""} {
			_, err := Open(Options{Dir: dir, Reserve: 1, EncryptionKey: []byte(key)})
			if err == nil || !strings.Contains(err.Error(), "encryption_key") || key != "" && strings.Contains(err.Error(), key) {
				t.Fatalf("got %v", err)
			}
		}
		s = open(t, dir, func(o *Options) { o.EncryptionKey = []byte(strings.Repeat("k", 32)) })
		defer shut(t, s)
		if rec, err := s.Load(t.Context(), keyOf(1)); err != nil || string(rec.Data) != "x" {
			t.Fatalf("got %+v, %v", rec, err)
		}
	})
	t.Run("a key of another length", func(t *testing.T) {
		if _, err := Open(Options{Dir: t.TempDir(), EncryptionKey: []byte("short")}); err == nil || strings.Contains(err.Error(), "short") {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("a full disk", func(t *testing.T) {
		_, err := Open(Options{Dir: t.TempDir(), free: func(string) (int64, error) { return 1 << 20, nil }})
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "reserve") {
			t.Fatalf("got %v", err)
		}
	})
}

func TestOpenFinishesAnInterruptedBeginning(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	create(t, s, keyOf(1), "x")
	shut(t, s)
	remove(t, dir, markerFile)
	s = open(t, dir, nil)
	defer shut(t, s)
	if rec, err := s.Load(t.Context(), keyOf(1)); err != nil || string(rec.Data) != "x" {
		t.Fatalf("got %+v, %v", rec, err)
	}
}

func TestDirectoryIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	shut(t, open(t, dir, nil))
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
}

func TestOpenWarnsOfADirectoryForEverybody(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	logs, watched := observer.New(zapcore.WarnLevel)
	shut(t, open(t, dir, func(o *Options) { o.Logger = zap.New(logs) }))
	if n := watched.FilterMessageSnippet("chmod 700").Len(); n != 1 {
		t.Errorf("%d warnings", n)
	}
}

// TestCompressionCanChange writes much the same many times, with and without
// compression, and reads all of it with either.
func TestCompressionCanChange(t *testing.T) {
	dir := t.TempDir()
	text := strings.Repeat("much the same ", 200)
	sizes := make([]int64, 0, 2)
	for i, compress := range []bool{false, true} {
		s := open(t, dir, func(o *Options) { o.Compress = compress })
		for id := range byte(200) {
			create(t, s, store.Key{Manager: fmt.Sprint(compress), ID: store.ID{id}}, text)
		}
		shut(t, s) // which writes a table
		tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
		if err != nil || len(tables) == 0 {
			t.Fatal(tables, err)
		}
		info, err := os.Stat(tables[len(tables)-1])
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, info.Size())
		s = open(t, dir, func(o *Options) { o.Compress, o.CacheBytes = i == 0, 1 })
		for _, manager := range []string{"false", "true"}[:i+1] {
			for id := range byte(200) {
				if rec, err := s.Load(t.Context(), store.Key{Manager: manager, ID: store.ID{id}}); err != nil || string(rec.Data) != text {
					t.Fatalf("%s %d: %q, %v", manager, id, rec.Data, err)
				}
			}
		}
		shut(t, s)
	}
	if sizes[1] > sizes[0]/4 {
		t.Errorf("a table of %d bytes has %d when it is compressed", sizes[0], sizes[1])
	}
}

// TestADirectoryWhoseNameIsAPattern: its files are found all the same.
func TestADirectoryWhoseNameIsAPattern(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store[1]*")
	s := open(t, dir, nil)
	create(t, s, keyOf(1), "x")
	shut(t, s)
	for _, pattern := range []string{"*.sst", markerFile} {
		if names, err := rawfiles.Files(dir, pattern); err != nil || len(names) != 1 {
			t.Fatalf("%s: %q, %v", pattern, names, err)
		}
	}
	result, err := Salvage(t.Context(), SalvageOptions{Dir: dir, Temp: t.TempDir()}, io.Discard)
	if err != nil || result.Sessions != 1 {
		t.Fatalf("%+v, %v", result, err)
	}
}
