package badgerstore

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/storetest"
)

// written returns the access time on disk, not in memory.
func written(t *testing.T, s *Store, key store.Key) time.Time {
	t.Helper()
	e, err := s.read(key)
	if err != nil {
		t.Fatal(err)
	}
	return e.rec.Accessed
}

// What is on disk is never further behind than the slack, so that a crash at
// any moment ends no session early.
func TestWrittenAccessTimesStayWithinTheSlack(t *testing.T) {
	clock := storetest.NewClock()
	s := open(t, t.TempDir(), func(o *Options) { o.Now = clock.Now })
	defer shut(t, s)
	rec := record("x")
	rec.Accessed = clock.Now()
	if err := s.Save(t.Context(), keyOf(1), store.Write{Record: rec}, store.Create()); err != nil {
		t.Fatal(err)
	}
	writes := 0
	last := rec.Accessed
	for range 300 {
		clock.Advance(2 * time.Second)
		if err := s.Touch(t.Context(), store.Touch{Key: keyOf(1), Incarnation: rec.Incarnation, Accessed: clock.Now()}); err != nil {
			t.Fatal(err)
		}
		if err := s.flushTouches(false); err != nil { // what the upkeep does when it is woken
			t.Fatal(err)
		}
		at := written(t, s, keyOf(1))
		if behind := clock.Now().Sub(at); behind > store.TouchSlack(rec.Idle) {
			t.Fatalf("%v behind", behind)
		}
		if !at.Equal(last) {
			writes++
			last = at
		}
	}
	if writes < 2 || writes > 15 {
		t.Fatalf("%d writes for 300 touches", writes)
	}
}

func TestManyPendingTouchesAreFlushed(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) { o.CacheBytes = 64 << 20 })
	defer shut(t, s)
	shard := s.cache.shard(store.Key{})
	for i := range maxPending + 1 {
		key := store.Key{Manager: "shop", ID: store.ID{0, byte(i), byte(i >> 8)}}
		rec := record("x")
		shard.mu.Lock()
		shard.put(key, entry{rec: rec})
		shard.mu.Unlock()
		flush := shard.touch(store.Touch{Key: key, Incarnation: rec.Incarnation, Accessed: rec.Accessed.Add(time.Second)}, &rec)
		if flush != (i == maxPending) {
			t.Fatalf("touch %d: flush is %v", i, flush)
		}
	}
	if err := s.flushTouches(false); err != nil {
		t.Fatal(err)
	}
	if len(shard.pending) != 0 {
		t.Fatalf("%d are still pending", len(shard.pending))
	}
}

// A reader that missed must not install what it read before a write.
func TestAStaleReadIsNotInstalled(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	rec := create(t, s, keyOf(1), "old")
	shard := s.cache.shard(keyOf(1))
	shard.forget(keyOf(1))
	_, ok, changes := shard.get(keyOf(1))
	if ok {
		t.Fatal("still cached")
	}
	old, err := s.read(keyOf(1))
	if err != nil {
		t.Fatal(err)
	}
	n := rec
	n.Data, n.Version = []byte("new"), rec.Version.Next()
	if err := s.Save(t.Context(), keyOf(1), store.Write{Record: n}, store.IfVersion(rec.Version)); err != nil {
		t.Fatal(err)
	}
	shard.forget(keyOf(1)) // as if it had been evicted
	shard.install(keyOf(1), old, changes)
	if got, err := s.Load(t.Context(), keyOf(1)); err != nil || string(got.Data) != "new" {
		t.Fatalf("got %s, %v", got.Data, err)
	}
}

// Readers race with one writer: what they see never goes backwards.
func TestReadersNeverSeeTheirPast(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) { o.Durability, o.CacheBytes = Async, 16*2048 })
	defer shut(t, s)
	rec := create(t, s, keyOf(1), "0")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var last uint64
			for i := 0; ctx.Err() == nil; i++ {
				got, err := s.Load(context.Background(), keyOf(1))
				if err != nil || got.Version.Counter < last {
					t.Errorf("version %d after %d, %v", got.Version.Counter, last, err)
					return
				}
				last = got.Version.Counter
				if i%3 == 0 {
					evict(s, keyOf(1))
				}
			}
		})
	}
	for range 500 {
		n := rec
		n.Version = rec.Version.Next()
		if err := s.Save(t.Context(), keyOf(1), store.Write{Record: n}, store.IfVersion(rec.Version)); err != nil {
			t.Error(err)
			break
		}
		rec = n
	}
	cancel()
	wg.Wait()
}

// evict does as if the copy had to give way.
func evict(s *Store, key store.Key) {
	shard := s.cache.shard(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	shard.remove(key)
}

func TestCacheIsBounded(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) { o.Durability, o.CacheBytes = Async, 64<<10 })
	defer shut(t, s)
	for i := range 2000 {
		create(t, s, store.Key{Manager: "shop", ID: store.ID{byte(i), byte(i >> 8)}}, "some data")
	}
	if n := s.Stats().CacheBytes; n > 64<<10 || n == 0 {
		t.Fatalf("%d bytes", n)
	}
}

// A session is filed once in the expiry index, at or before its end.
func TestExpiryIndex(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	var until uint64 // when the engine itself drops the last one found
	filed := func() (due []int64) {
		t.Helper()
		err := s.db.View(func(txn *badger.Txn) error {
			it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{keyExpiry}})
			defer it.Close()
			for it.Rewind(); it.Valid(); it.Next() {
				due = append(due, int64(placeOf(it.Item().Key()).at))
				until = it.Item().ExpiresAt()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return due
	}
	save := func(rec *store.Record, change func(*store.Record)) {
		t.Helper()
		n := *rec
		n.Version = rec.Version.Next()
		change(&n)
		if err := s.Save(t.Context(), keyOf(1), store.Write{Record: n}, store.IfVersion(rec.Version)); err != nil {
			t.Fatal(err)
		}
		*rec = n
	}
	rec := create(t, s, keyOf(1), "x")
	first := dueOf(rec.Deadline())
	for _, step := range []struct {
		name   string
		change func(*store.Record)
		want   int64
	}{
		{"a save leaves it where it is", func(r *store.Record) { r.Accessed = r.Accessed.Add(10 * time.Minute) }, first},
		{"a shorter timeout moves it", func(r *store.Record) { r.Idle = time.Minute }, dueOf(rec.Accessed.Add(10*time.Minute + time.Minute + 3*time.Second))},
		{"a later absolute end takes the backstop along", func(r *store.Record) { r.Absolute = r.Absolute.Add(1000 * time.Hour) }, dueOf(rec.Accessed.Add(10*time.Minute + time.Minute + 3*time.Second))},
	} {
		save(&rec, step.change)
		if got := filed(); len(got) != 1 || got[0] != step.want {
			t.Fatalf("%s: got %v, want %d", step.name, got, step.want)
		}
		if want := s.ttlOf(rec.Absolute); until != want {
			t.Fatalf("%s: the engine drops it at %d, not %d", step.name, until, want)
		}
	}
	if err := s.Delete(t.Context(), keyOf(1), store.Destroyed); err != nil {
		t.Fatal(err)
	}
	if got := filed(); len(got) != 0 {
		t.Fatalf("left behind: %v", got)
	}
	if _, err := s.read(keyOf(1)); !errors.Is(err, store.ErrGone) {
		t.Fatalf("got %v", err)
	}
}

// A touch that is still pending when its session is deleted leaves nothing.
func TestATouchOfWhatIsGoneIsNotWritten(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	rec := create(t, s, keyOf(1), "x")
	late := map[store.Key]touched{keyOf(1): {access: access{rec.Incarnation, rec.Accessed.Add(time.Hour)}, absolute: rec.Absolute}}
	if err := s.Delete(t.Context(), keyOf(1), store.Destroyed); err != nil {
		t.Fatal(err)
	}
	if err := s.writer.flush(late); err != nil {
		t.Fatal(err)
	}
	n, _ := s.managers.number("shop")
	err := s.db.View(func(txn *badger.Txn) error {
		_, err := txn.Get(accessKey(n, keyOf(1).ID))
		return err
	})
	if !errors.Is(err, badger.ErrKeyNotFound) {
		t.Fatalf("an access time is left behind (%v)", err)
	}
}

// A touch that is written while another reader is between the disk and the
// memory must not be missed by it.
func TestATouchWrittenUnderAReadIsSeen(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) { o.Durability, o.CacheBytes = Async, 1 })
	defer shut(t, s)
	rec := create(t, s, keyOf(1), "x")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			var last time.Time
			for ctx.Err() == nil {
				got, err := s.Load(context.Background(), keyOf(1))
				if err != nil || got.Accessed.Before(last) {
					t.Errorf("accessed at %v, after %v; %v", got.Accessed, last, err)
					return
				}
				last = got.Accessed
			}
		})
	}
	for i := range 150 {
		at := rec.Accessed.Add(time.Duration(i) * time.Second)
		if err := s.Touch(t.Context(), store.Touch{Key: keyOf(1), Incarnation: rec.Incarnation, Accessed: at}); err != nil {
			t.Fatal(err)
		}
		if err := s.flushTouches(true); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	wg.Wait()
}
