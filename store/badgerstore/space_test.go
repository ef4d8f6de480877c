package badgerstore

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

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
	kept := create(t, s, keyOf(2), "y")
	free.Store(1 << 20)
	s.space.Refresh()
	n := rec
	n.Version = rec.Version.Next()
	for name, err := range map[string]error{
		"save":   s.Save(t.Context(), keyOf(1), store.Write{Record: n}, store.IfVersion(rec.Version)),
		"create": s.Save(t.Context(), keyOf(4), store.Write{Record: record("y")}, store.Create()),
		"update": func() error {
			_, err := s.Update(t.Context(), keyOf(1), func(r store.Record) (store.Write, error) { return store.Write{Record: n}, nil })
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
	if err := s.Delete(t.Context(), keyOf(1), store.Destroyed); err != nil {
		t.Fatalf("logging out: %v", err)
	}
	if err := s.Touch(t.Context(), store.Touch{Key: keyOf(2), Incarnation: kept.Incarnation, Accessed: kept.Accessed.Add(10 * time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if err := s.flushTouches(false); err != nil || !written(t, s, keyOf(2)).Equal(archive.FromMillis(archive.Millis(kept.Accessed))) {
		t.Fatalf("an access time was written to the full disk (%v)", err)
	}
	free.Store(1 << 40)
	s.space.Refresh()
	// Those that the upkeep is writing are pending still, and due no more.
	if err := s.flushTouches(true); err != nil || !written(t, s, keyOf(2)).After(kept.Accessed) {
		t.Fatalf("the access time was not written later (%v)", err)
	}
	create(t, s, keyOf(3), "z")
	if n := watched.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
		t.Fatalf("%d errors were logged, want one", n)
	}
}

// TestSpaceIsLookedAtWhileWriting: another process may take the disk between
// two looks of the upkeep, and saves that are in the queue by then are refused.
func TestSpaceIsLookedAtWhileWriting(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	var clock atomic.Int64
	s := open(t, t.TempDir(), func(o *Options) {
		o.free = func(string) (int64, error) { return free.Load(), nil }
		o.clock = func() time.Duration { return time.Duration(clock.Load()) }
		o.Reserve = 1 << 30
	})
	defer shut(t, s)
	free.Store(1 << 20)
	clock.Store(int64(time.Hour))
	rec := record("x")
	if err := s.Save(t.Context(), keyOf(1), store.Write{Record: rec}, store.Create()); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
}

// Ending a session for its listeners writes its data once more. The reserve
// has room for a logout, and not for as many as there may be.
func TestEndsKeepOutOfTheLastOfTheReserve(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	s := open(t, t.TempDir(), func(o *Options) {
		o.free = func(string) (int64, error) { return free.Load(), nil }
		o.Reserve = 1 << 30
	})
	defer shut(t, s)
	for i := range byte(4) {
		create(t, s, keyOf(i), "x")
	}
	s.Subscribe(func(manager string, _ store.EventKind) []string {
		if manager == "quiet" {
			return nil
		}
		return []string{"hook"}
	})
	quiet := store.Key{Manager: "quiet", ID: store.ID{3}}
	create(t, s, quiet, "x")
	free.Store(1<<30 - 1)
	s.space.Refresh()
	if err := s.Delete(t.Context(), keyOf(1), store.Purged); err != nil {
		t.Fatal(err)
	}
	free.Store(1<<29 - 1)
	s.space.Refresh()
	if err := s.Delete(t.Context(), keyOf(2), store.Purged); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if _, err := s.Load(t.Context(), keyOf(2)); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), quiet, store.Purged); err != nil {
		t.Fatal(err)
	}
	free.Store(1 << 30)
	s.space.Refresh()
	if err := s.Delete(t.Context(), keyOf(2), store.Purged); err != nil {
		t.Fatal(err)
	}
}
