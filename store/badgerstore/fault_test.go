package badgerstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// faulty is a store whose files a test takes away. Its pauses end when the
// test says so.
type faulty struct {
	*Store
	t      *testing.T
	dir    string
	retry  chan time.Time // lets the next attempt to open the store begin
	inodes atomic.Int64
}

func openFaulty(t *testing.T, dir string, change func(*Options)) *faulty {
	t.Helper()
	f := &faulty{t: t, dir: dir, retry: make(chan time.Time)}
	f.inodes.Store(-1)
	at := make(chan time.Time)
	close(at)
	f.Store = open(t, dir, func(o *Options) {
		o.Durability = Async
		o.inodes = func(string) (int64, error) { return f.inodes.Load(), nil }
		o.after = func(d time.Duration) <-chan time.Time {
			switch d {
			case repairTimeout:
				return at
			case closeTimeout:
				return time.After(d)
			}
			return f.retry
		}
		if change != nil {
			change(o)
		}
	})
	return f
}

// block has the engine fail to make files of these names, since directories
// have them; free removes those again.
func (f *faulty) block(names ...string) (free func()) {
	f.t.Helper()
	for _, name := range names {
		if err := os.Mkdir(filepath.Join(f.dir, name), 0o700); err != nil {
			f.t.Fatal(err)
		}
	}
	return func() {
		for _, name := range names {
			if err := os.RemoveAll(filepath.Join(f.dir, name)); err != nil {
				f.t.Error(err)
			}
		}
	}
}

// tables are names of the tables that come next: the engine takes another
// number at each attempt.
func tables(from int) (names []string) {
	for n := range 300 {
		names = append(names, fmt.Sprintf("%06d.sst", from+n))
	}
	return names
}

// fill saves sessions until one is refused, and returns those that were
// acknowledged, and the refusal.
func (f *faulty) fill() (saved []store.Key, refused error) {
	f.t.Helper()
	data := strings.Repeat("x", 200<<10)
	for n := range 1000 {
		key := store.Key{Manager: "shop", ID: store.ID{1, byte(n), byte(n >> 8)}}
		err := f.Save(f.t.Context(), key, store.Write{Record: record(data)}, store.Create())
		if err != nil {
			return saved, err
		}
		saved = append(saved, key)
	}
	f.t.Fatal("nothing was refused")
	return nil, nil
}

// until waits for a condition that comes with the engine's own pace.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come", what)
		}
	}
}

func (f *faulty) all(keys []store.Key) {
	f.t.Helper()
	for _, key := range keys {
		if _, err := f.Load(f.t.Context(), key); err != nil {
			f.t.Fatalf("%s was acknowledged: %v", key.ID, err)
		}
	}
}

// newID returns an ID that no other session of a test has.
func newID() (id store.ID) {
	_, _ = rand.Read(id[:])
	return id
}

func (f *faulty) writable() error {
	rec := record("x")
	return f.Save(f.t.Context(), store.Key{Manager: "shop", ID: newID()}, store.Write{Record: rec}, store.Create())
}

// TestTheNextLogCannotBeMade: the engine has no memtable then, and the next
// use of it would end the process.
func TestTheNextLogCannotBeMade(t *testing.T) {
	f := openFaulty(t, t.TempDir(), nil)
	defer shut(t, f.Store)
	hot := create(t, f.Store, keyOf(200), "hot")
	next := filepath.Base(f.space.next.path())
	remove(t, f.dir, next)
	free := f.block(next)
	saved, err := f.fill()
	if !errors.Is(err, store.ErrUnknown) || len(saved) == 0 {
		t.Fatalf("%d saved, %v", len(saved), err)
	}
	for range 3 {
		if err := f.writable(); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("writing to an engine that has failed: %v", err)
		}
	}
	if err := f.Delete(t.Context(), keyOf(200), store.End{Reason: store.Destroyed}); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("ending a session: %v", err)
	}
	if got, err := f.Load(t.Context(), keyOf(200)); err != nil || got.Version != hot.Version {
		t.Fatalf("reading a hot session: %v", err)
	}
	if _, err := f.Load(t.Context(), keyOf(7)); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("reading a cold session: %v", err)
	}
	if h := f.Stats().Health; h.Writable || !strings.Contains(h.Reason, "has failed") {
		t.Fatalf("health is %+v", h)
	}
	f.retry <- time.Time{}
	f.retry <- time.Time{} // the first attempt has failed
	if err := f.broken(); err == nil {
		t.Fatal("it works with a directory in the place of a log")
	}
	free()
	f.retry <- time.Time{}
	until(t, "the repair", func() bool { return f.writable() == nil })
	f.all(append(saved, keyOf(200)))
	if h := f.Stats().Health; !h.Writable {
		t.Fatalf("health is %+v", h)
	}
}

// TestASaveOfUnknownOutcomeIsRepeated: whether or not the failed commit was
// written, the save can be sent again with its version.
func TestASaveOfUnknownOutcomeIsRepeated(t *testing.T) {
	f := openFaulty(t, t.TempDir(), nil)
	defer shut(t, f.Store)
	w := store.Write{Record: record("x")}
	for name, commit := range map[string]func(*batch) error{
		"written": func(b *batch) error {
			return errors.Join(b.txn.Commit(), errors.New("the log was written, and then it failed"))
		},
		"not written": func(*batch) error { return errors.New("it failed before") },
	} {
		key := store.Key{Manager: "shop", ID: newID()}
		err := f.writer.do(t.Context(), &op{key: key, run: func(b *batch) error {
			if err := errors.Join(b.save(key, &w, store.Create()), b.writeCounts()); err != nil {
				return err
			}
			b.staged = 0
			return commitError(f.dir, f.engage(func() error { return commit(b) }))
		}})
		if !errors.Is(err, store.ErrUnknown) {
			t.Fatalf("%s: %v", name, err)
		}
		f.retry <- time.Time{}
		until(t, "the repair", func() bool { return f.broken() == nil && f.uses.Load().n.Load() >= 0 })
		if err := f.Save(t.Context(), key, w, store.Create()); err != nil {
			t.Fatalf("%s: repeating the save: %v", name, err)
		}
		if got, err := f.Load(t.Context(), key); err != nil || got.Version != w.Version {
			t.Fatalf("%s: %v", name, err)
		}
		consistent(t, f.Store)
	}
}

// TestACallerLearnsTheOutcomeAfterTheRepair: the answer "unknown" waits for the
// store to be open again, so that the repetition tells.
func TestACallerLearnsTheOutcomeAfterTheRepair(t *testing.T) {
	f := openFaulty(t, t.TempDir(), func(o *Options) {
		after := o.after
		o.after = func(d time.Duration) <-chan time.Time {
			if d == repairTimeout {
				return nil
			}
			return after(d)
		}
	})
	defer shut(t, f.Store)
	next := filepath.Base(f.space.next.path())
	remove(t, f.dir, next)
	free := f.block(next)
	go func() {
		for f.broken() == nil {
			time.Sleep(time.Millisecond)
		}
		free()
		f.retry <- time.Time{}
	}()
	if _, err := f.fill(); !errors.Is(err, store.ErrUnknown) {
		t.Fatal(err)
	}
	if err := f.writable(); err != nil {
		t.Fatalf("right after the answer: %v", err)
	}
}

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
	until(t, "the gate", func() bool { return f.space.held.Load() != nil })
	f.space.look()
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

// TestPanicsOfTheEngine end no process, wherever they come.
func TestPanicsOfTheEngine(t *testing.T) {
	for name, panics := range map[string]func(*faulty) error{
		"reading": func(f *faulty) error {
			_, err := f.read(keyOf(1))
			return err
		},
		"writing": func(f *faulty) error { return f.writable() },
		"upkeep":  func(f *faulty) error { return f.whileOpen(func() error { return f.flushTouches(true) }) },
		"sweep": func(f *faulty) error {
			_, _, err := f.Sweep(context.Background(), f.opts.Now(), 10, func(string) []string { return nil })
			return err
		},
		"listing": func(f *faulty) (err error) {
			for _, err = range f.List(context.Background(), "shop", store.ID{}) {
			}
			return err
		},
		"deliveries": func(f *faulty) error {
			_, _, err := f.Deliveries(context.Background(), "hook", 10)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := openFaulty(t, t.TempDir(), nil)
			defer shut(t, f.Store)
			w := store.Write{Record: record("x"), Notices: []store.Notice{{Kind: store.NoticeCreated, Listeners: []string{"hook"}}}}
			if err := f.Save(t.Context(), keyOf(1), w, store.Create()); err != nil {
				t.Fatal(err)
			}
			if err := f.Touch(t.Context(), store.Touch{Key: keyOf(1), Incarnation: w.Incarnation, Accessed: w.Accessed.Add(time.Second)}); err != nil {
				t.Fatal(err)
			}
			db := f.db
			f.db = nil // any use is a nil pointer
			if err := panics(f); !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown) {
				t.Errorf("got %v", err)
			}
			if f.broken() == nil {
				t.Error("the engine is used on")
			}
			f.space.closing()
			if err := errors.Join(db.Close(), f.space.closed()); err != nil {
				t.Fatal(err)
			}
			f.retry <- time.Time{}
			until(t, "the repair", func() bool { return f.writable() == nil })
			f.all([]store.Key{keyOf(1)})
		})
	}
}

// TestTheCloseIsBounded also when the engine can never write what it has.
func TestTheCloseIsBounded(t *testing.T) {
	dir := t.TempDir()
	const limit = time.Duration(12345)
	f := openFaulty(t, dir, func(o *Options) {
		after := o.after
		o.after = func(d time.Duration) <-chan time.Time {
			if d != limit {
				return after(d)
			}
			at := make(chan time.Time)
			close(at)
			return at
		}
	})
	create(t, f.Store, keyOf(1), "x")
	free := f.block(tables(1)...)
	if err := f.CloseWithin(limit); err == nil || !strings.Contains(err.Error(), "is in its logs") {
		t.Fatalf("got %v", err)
	}
	if err := f.writable(); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("after the close: %v", err)
	}
	free()
	var s *Store
	until(t, "the end of the close", func() (ok bool) {
		var err error
		s, err = Open(Options{Dir: dir})
		return err == nil
	})
	defer shut(t, s)
	if _, err := s.Load(t.Context(), keyOf(1)); err != nil {
		t.Fatal(err)
	}
}
