package badgerstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

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
	if err := s.Save(t.Context(), key, rec, store.Create()); err != nil {
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

// Each damage to the directory is refused at the opening, with a remedy, and
// refusing changes nothing.
func TestOpenRefusesDamage(t *testing.T) {
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
			write(t, dir, markerFile, `{"format":2,"store":"x"}`)
		}, "format 2", false},
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

// A beginning that was interrupted between the sentinel and the marker goes on.
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

func TestLowSpaceRefusesWritesAndResumes(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	logs, watched := observer.New(zapcore.InfoLevel)
	s := open(t, t.TempDir(), func(o *Options) {
		o.free = func(string) (int64, error) { return free.Load(), nil }
		o.Reserve, o.Logger = 1<<30, zap.New(logs)
	})
	defer shut(t, s)
	rec := create(t, s, keyOf(1), "x")
	free.Store(1 << 20)
	s.space.look()
	n := rec
	n.Version = rec.Version.Next()
	for name, err := range map[string]error{
		"save":   s.Save(t.Context(), keyOf(1), n, store.IfVersion(rec.Version)),
		"create": s.Save(t.Context(), keyOf(2), record("y"), store.Create()),
		"update": func() error {
			_, err := s.Update(t.Context(), keyOf(1), func(r store.Record) (store.Record, error) { return n, nil })
			return err
		}(),
	} {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if got, err := s.Load(t.Context(), keyOf(1)); err != nil || got.Version != rec.Version {
		t.Fatalf("reading: %+v, %v", got, err)
	}
	if err := s.Delete(t.Context(), keyOf(1)); err != nil {
		t.Fatalf("logging out: %v", err)
	}
	free.Store(1 << 40)
	s.space.look()
	create(t, s, keyOf(3), "z")
	if n := watched.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
		t.Fatalf("%d errors were logged, want one", n)
	}
}

func TestDamagedRecordIsGone(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) { o.CacheBytes = 1; o.Logger = zap.NewNop() })
	defer shut(t, s)
	create(t, s, keyOf(1), "secret")
	n, _ := s.managers.number("shop")
	raw := sessionKey(n, keyOf(1).ID)
	err := s.db.Update(func(txn *badger.Txn) error {
		item, err := txn.Get(raw)
		if err != nil {
			return err
		}
		b, err := item.ValueCopy(nil)
		if err != nil {
			return err
		}
		b[len(b)-1] ^= 1
		return txn.Set(raw, b)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), keyOf(1)); !errors.Is(err, store.ErrGone) {
		t.Fatalf("got %v", err)
	}
	if s.Stats().Damaged == 0 {
		t.Fatal("not counted")
	}
}

func TestAPanicInAChangeEndsOnlyThatChange(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	rec := create(t, s, keyOf(1), "x")
	_, err := s.Update(t.Context(), keyOf(1), func(store.Record) (store.Record, error) { panic("oops") })
	if err == nil || !strings.Contains(err.Error(), "panic") {
		t.Fatalf("got %v", err)
	}
	if got, err := s.Load(t.Context(), keyOf(1)); err != nil || got.Version != rec.Version {
		t.Fatalf("got %+v, %v", got, err)
	}
}

// Close lets the calls under way end, and leaves no goroutine behind.
func TestCloseWaitsAndLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	s := open(t, t.TempDir(), nil)
	rec := create(t, s, keyOf(1), "x")
	inside, gate := make(chan struct{}), make(chan struct{})
	updated, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.Update(context.Background(), keyOf(1), func(r store.Record) (store.Record, error) {
			close(inside)
			<-gate
			r.Version = rec.Version.Next()
			return r, nil
		})
		updated <- err
	}()
	<-inside
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		t.Fatalf("closed under a call: %v", err)
	default:
	}
	close(gate)
	if err := errors.Join(<-updated, <-closed); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err == nil {
		t.Fatal("closing twice is no error")
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
		runtime.GC() // gives the others time without a sleep
	}
	t.Fatalf("%d goroutines, there were %d", runtime.NumGoroutine(), before)
}

// Many calls race with Close: each is served or refused, none faults.
func TestCallsRacingWithClose(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) { o.CacheBytes = 1 })
	for i := range 50 {
		create(t, s, keyOf(byte(i)), "x")
	}
	var wg sync.WaitGroup
	started := make(chan struct{}, 8)
	for range 8 {
		wg.Go(func() {
			for first := true; ; first = false {
				_, err := s.Load(context.Background(), keyOf(3))
				for _, listErr := range s.List(context.Background(), "shop", store.ID{}) {
					err = errors.Join(err, listErr)
				}
				if first {
					started <- struct{}{}
				}
				if err != nil {
					if !errors.Is(err, store.ErrUnavailable) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	for range 8 {
		<-started
	}
	shut(t, s)
	wg.Wait()
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
