package badgerstore

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// TestTheNextLogCannotBeMade: the engine has no memtable then, and the next
// use of it would end the process.
func TestTheNextLogCannotBeMade(t *testing.T) {
	f := openFaulty(t, t.TempDir(), nil)
	defer shut(t, f.Store)
	hot := create(t, f.Store, keyOf(200), "hot")
	next := filepath.Base(f.space.NextLog())
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
	if err := f.Delete(t.Context(), keyOf(200), store.Destroyed); !errors.Is(err, store.ErrUnavailable) {
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
	free()
	until(t, "the repair", func() bool {
		select {
		case f.retry <- time.Time{}: // the attempt before has failed
		default:
		}
		return f.writable() == nil
	})
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
	next := filepath.Base(f.space.NextLog())
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

// TestASyncBesideACommitThatFails leaves no lock of the engine behind: the store
// closes and opens again.
func TestASyncBesideACommitThatFails(t *testing.T) {
	for range 5 {
		f := openFaulty(t, t.TempDir(), func(o *Options) { o.Durability = Async })
		next := filepath.Base(f.space.NextLog())
		remove(t, f.dir, next)
		free := f.block(next)
		var syncs sync.WaitGroup
		for range 4 {
			syncs.Go(func() {
				for f.broken() == nil {
					_ = f.whileOpen(f.sync)
				}
			})
		}
		filled := make(chan error, 1)
		go func() { _, err := f.fill(); filled <- err }()
		syncs.Wait()
		fault := f.fault.Load()
		free()
		f.retry <- time.Time{}
		<-fault.repaired
		if err := <-filled; !errors.Is(err, store.ErrUnknown) {
			t.Fatal(err)
		}
		if err := f.writable(); err != nil {
			t.Fatal(err)
		}
		shut(t, f.Store)
	}
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
			_, _, err := f.Sweep(context.Background(), f.opts.Now(), 10)
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
			f.Subscribe(to("hook"))
			w := store.Write{Record: record("x"), Events: []store.Event{{Kind: store.EventCreated}}}
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
			f.space.Closing()
			if err := errors.Join(db.Close(), f.space.Closed()); err != nil {
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
