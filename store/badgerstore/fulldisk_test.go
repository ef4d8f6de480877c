package badgerstore

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

func TestSweepOnAFullDisk(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	s, clock := onClock(t, t.TempDir(), 10, func(o *Options) {
		o.free, o.Reserve = func(string) (int64, error) { return free.Load(), nil }, 1<<30
	})
	defer shut(t, s)
	for i := range byte(5) {
		begin(t, s, clock, store.Key{Manager: "cart", ID: store.ID{i}})
	}
	clock.Advance(20 * time.Minute)
	rec, err := s.Load(t.Context(), keyOf(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Touch(t.Context(), store.Touch{Key: keyOf(0), Incarnation: rec.Incarnation, Accessed: clock.Now()}); err != nil {
		t.Fatal(err)
	}
	clock.Advance(20 * time.Minute)
	free.Store(1)
	s.space.Refresh()
	s.Subscribe(func(manager string, _ store.EventKind) []string {
		if manager == "cart" {
			return []string{"hook"}
		}
		return nil
	})
	n, _ := s.managers.number("shop")
	before := s.sweep.first(n)
	filed, err := s.read(keyOf(0))
	if err != nil {
		t.Fatal(err)
	}
	swept(t, s, 3, 2, false) // one of the three is in use, and stays where it is
	if now, err := s.read(keyOf(0)); s.sweep.first(n) < before || err != nil || now.due != filed.due {
		t.Fatalf("the watermark is at %d, it was at %d; filed at %d, it was at %d, %v", s.sweep.first(n), before, now.due, filed.due, err)
	}
	swept(t, s, 100, 7, false)
	swept(t, s, 100, 0, false)
	if all, err := s.Counts(t.Context()); err != nil || all[0].Sessions != 5 || all[1].Sessions != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	consistent(t, s)
	free.Store(1 << 40)
	s.space.Refresh()
	swept(t, s, 100, 5, false)
	if due, _, err := s.Deliveries(t.Context(), "hook", 100); err != nil || len(due) != 5 {
		t.Fatalf("%d deliveries, %v", len(due), err)
	}
	consistent(t, s)
}

func TestArchiveOnAFullDisk(t *testing.T) {
	var looks, limit atomic.Int64
	limit.Store(1 << 40)
	dir := t.TempDir()
	s, _ := onClock(t, dir, 10, func(o *Options) {
		o.Reserve = 1 << 30
		o.free = func(string) (int64, error) {
			if looks.Add(1) > limit.Load() {
				return 1, nil
			}
			return 1 << 40, nil
		}
	})
	defer shut(t, s)
	limit.Store(0)
	s.space.Refresh()
	b := backup(t, s) // reading goes on
	if _, err := readArchive(b); err != nil {
		t.Fatal(err)
	}
	limit.Store(1 << 40)
	s.space.Refresh()
	for i := range byte(10) {
		if err := s.Delete(t.Context(), keyOf(i), store.Purged); err != nil {
			t.Fatal(err)
		}
	}
	limit.Store(looks.Load() + 1) // it becomes full while the backup comes in
	_, err := s.Restore(t.Context(), strings.NewReader(string(b)+strings.Repeat("x", spoolStep)), nil)
	if !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if got := listing(t, dir); strings.Contains(got, "restore-") {
		t.Fatalf("left behind: %s", got)
	}
	limit.Store(1 << 40)
	s.space.Refresh()
	if n, err := s.Restore(t.Context(), strings.NewReader(string(b)), nil); n != 10 || err != nil {
		t.Fatalf("%d sessions, %v", n, err)
	}
	consistent(t, s)
}

// What is in use stays where it is filed while the disk is full, however much
// it is; what has ended behind it goes all the same.
func TestSweepOnAFullDiskGetsPastWhatIsInUse(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	s, clock := onClock(t, t.TempDir(), 10, func(o *Options) {
		o.free, o.Reserve = func(string) (int64, error) { return free.Load(), nil }, 1<<30
	})
	defer shut(t, s)
	clock.Advance(20 * time.Minute)
	for i := range byte(10) {
		rec, err := s.Load(t.Context(), keyOf(i))
		if err == nil {
			err = s.Touch(t.Context(), store.Touch{Key: keyOf(i), Incarnation: rec.Incarnation, Accessed: clock.Now()})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	clock.Advance(20 * time.Minute)
	for i := range byte(5) {
		begin(t, s, clock, keyOf(10+i))
		rec, err := s.Load(t.Context(), keyOf(i))
		if err == nil {
			err = s.Touch(t.Context(), store.Touch{Key: keyOf(i), Incarnation: rec.Incarnation, Accessed: clock.Now().Add(20 * time.Minute)})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	clock.Advance(32 * time.Minute)
	free.Store(1)
	s.space.Refresh()
	// The first five live on, behind them ten have ended.
	ended := 0
	for range 10 {
		n, _, err := s.Sweep(t.Context(), s.opts.Now(), 3)
		if err != nil {
			t.Fatal(err)
		}
		ended += n
	}
	if ended != 10 {
		t.Errorf("%d of 10 have ended", ended)
	}
	consistent(t, s)
	free.Store(1 << 40)
	s.space.Refresh()
	swept(t, s, 100, 0, false)
	consistent(t, s)
}
