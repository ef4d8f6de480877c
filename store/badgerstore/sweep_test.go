package badgerstore

import (
	"errors"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
	"github.com/sessionproxy/sessionproxy/store/storetest"
)

// onClock opens a store on a clock that stands, and creates n sessions.
func onClock(t *testing.T, dir string, n int, change func(*Options)) (*Store, *storetest.Clock) {
	t.Helper()
	clock := storetest.NewClock()
	s := open(t, dir, func(o *Options) {
		if o.Now = clock.Now; change != nil {
			change(o)
		}
	})
	for i := range n {
		begin(t, s, clock, keyOf(byte(i)))
	}
	return s, clock
}

func begin(t *testing.T, s *Store, clock *storetest.Clock, key store.Key) store.Record {
	t.Helper()
	now := clock.Now()
	rec := store.Record{
		Created: now, Written: now, Accessed: now, Idle: 30 * time.Minute, Absolute: now.Add(12 * time.Hour),
		Incarnation: store.NewIncarnation(), Version: store.Version{}.Next(),
	}
	if err := s.Save(t.Context(), key, store.Write{Record: rec}, store.Create()); err != nil {
		t.Fatal(err)
	}
	return rec
}

func swept(t *testing.T, s *Store, n int, want int, more bool) {
	t.Helper()
	if ended, again, err := s.Sweep(t.Context(), s.opts.Now(), n); ended != want || again != more || err != nil {
		t.Fatalf("%d ended, more: %v, %v; want %d, %v", ended, again, err, want, more)
	}
}

// The watermark on disk is where the sweep was, and is taken back with what is
// filed before it: another process begins there.
func TestTheWatermarkOnDiskIsBeforeEverything(t *testing.T) {
	dir := t.TempDir()
	s, clock := onClock(t, dir, 5, nil)
	clock.Advance(time.Hour)
	swept(t, s, 100, 5, false)
	if err := s.writeWatermarks(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	n, _ := s.managers.number("shop")
	if at := onDisk(t, s, numberKey(nil, keySwept, n)); int64(at) != clock.Now().UnixMilli()+1 {
		t.Fatalf("at %d, now is %d", at, clock.Now().UnixMilli())
	}
	consistent(t, s)
	clock.Advance(-50 * time.Minute)
	begin(t, s, clock, keyOf(7))
	consistent(t, s)
	// What is filed in the very batch that writes the watermark.
	clock.Advance(45 * time.Minute)
	swept(t, s, 100, 1, false)
	clock.Advance(-45 * time.Minute)
	rec := archive.Truncate(record("x"))
	rec.Accessed, rec.Absolute = clock.Now(), clock.Now().Add(time.Hour)
	err := s.writer.do(t.Context(), &op{run: func(b *batch) error {
		return errors.Join(b.stageRecord(keyOf(8), nil, &rec), b.writeWatermarks([]number{n}))
	}})
	if err != nil {
		t.Fatal(err)
	}
	consistent(t, s)
	shut(t, s)
	s = open(t, dir, func(o *Options) { o.Now = clock.Now })
	defer shut(t, s)
	consistent(t, s)
	clock.Advance(40 * time.Minute)
	swept(t, s, 100, 1, false)
	if at, _ := s.sweep.lowWater(); at != clock.Now().UnixMilli()+1 || s.Stats().SweptThrough.UnixMilli() != at || s.Stats().Swept != 1 {
		t.Fatalf("swept through %d, %+v", at, s.Stats())
	}
}

func onDisk(t *testing.T, s *Store, key []byte) (n uint64) {
	t.Helper()
	err := s.db.View(func(txn *badger.Txn) (err error) { n, err = readUint64(txn, key); return err })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Places that are out of date go, and a session that lost its place gets one.
func TestSweepMendsTheIndex(t *testing.T) {
	s, clock := onClock(t, t.TempDir(), 2, nil)
	defer shut(t, s)
	n, _ := s.managers.number("shop")
	clock.Advance(time.Minute)
	at := clock.Now().UnixMilli()
	err := s.db.Update(func(txn *badger.Txn) error {
		return errors.Join(txn.Set(expiryKey(at, n, keyOf(0).ID), nil), txn.Set(expiryKey(at, n, keyOf(99).ID), nil))
	})
	if err != nil {
		t.Fatal(err)
	}
	swept(t, s, 100, 0, false)
	consistent(t, s)
	clock.Advance(time.Hour)
	swept(t, s, 100, 2, false)
	consistent(t, s)
}

// A session that is filed anew keeps its data where it is.
func TestRefilingWritesNoData(t *testing.T) {
	s, clock := onClock(t, t.TempDir(), 0, nil)
	defer shut(t, s)
	rec := begin(t, s, clock, keyOf(1))
	clock.Advance(25 * time.Minute)
	if err := s.Touch(t.Context(), store.Touch{Key: keyOf(1), Incarnation: rec.Incarnation, Accessed: clock.Now()}); err != nil {
		t.Fatal(err)
	}
	clock.Advance(20 * time.Minute)
	version := func() (v uint64) {
		t.Helper()
		n, _ := s.managers.number("shop")
		err := s.db.View(func(txn *badger.Txn) error {
			item, err := txn.Get(sessionKey(n, keyOf(1).ID))
			if err == nil {
				v = item.Version()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := version()
	swept(t, s, 10, 0, false)
	if version() != before {
		t.Fatal("the record was written")
	}
	s.cache.shard(keyOf(1)).forget(keyOf(1)) // what is on disk
	consistent(t, s)
	e, err := s.read(keyOf(1))
	if err != nil || e.due != dueOf(e.rec.Deadline()) {
		t.Fatalf("filed at %d, ends at %v, %v", e.due, e.rec.Deadline(), err)
	}
	// A shorter timeout wins over the place that the access key says.
	n := e.rec
	n.Idle, n.Version = time.Second, n.Version.Next()
	if err := s.Save(t.Context(), keyOf(1), store.Write{Record: n}, store.IfVersion(e.rec.Version)); err != nil {
		t.Fatal(err)
	}
	s.cache.shard(keyOf(1)).forget(keyOf(1))
	consistent(t, s)
	clock.Advance(2 * time.Second)
	swept(t, s, 10, 1, false)
}

// A touch that was taken to be written, and comes after the sweep has written
// a later one, does not move the access time back.
func TestALateTouchDoesNotUndoTheSweeps(t *testing.T) {
	s, clock := onClock(t, t.TempDir(), 0, func(o *Options) { o.CacheBytes = 1 })
	defer shut(t, s)
	rec := begin(t, s, clock, keyOf(1))
	late := map[store.Key]touched{keyOf(1): {access: access{rec.Incarnation, clock.Now().Add(time.Minute)}}}
	clock.Advance(30 * time.Minute)
	if err := s.Touch(t.Context(), store.Touch{Key: keyOf(1), Incarnation: rec.Incarnation, Accessed: clock.Now()}); err != nil {
		t.Fatal(err)
	}
	clock.Advance(10 * time.Minute)
	swept(t, s, 10, 0, false)
	if err := s.writer.flush(late); err != nil {
		t.Fatal(err)
	}
	clock.Advance(15 * time.Minute)
	if _, err := s.Load(t.Context(), keyOf(1)); err != nil {
		t.Fatal(err)
	}
	swept(t, s, 10, 0, false)
}

func TestASaveOfDataWritesOneKey(t *testing.T) {
	s, clock := onClock(t, t.TempDir(), 0, nil)
	defer shut(t, s)
	rec := begin(t, s, clock, keyOf(1))
	signedIn := rec
	signedIn.Principal, signedIn.Version = "alice", rec.Version.Next()
	if err := s.Save(t.Context(), keyOf(1), store.Write{Record: signedIn}, store.IfVersion(rec.Version)); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	err := s.writer.do(t.Context(), &op{run: func(b *batch) error {
		n := signedIn
		n.Data, n.Accessed, n.Written, n.Version = []byte("new"), clock.Now(), clock.Now(), signedIn.Version.Next()
		w := store.Write{Record: n, Limit: store.Limit{Sessions: 1}}
		before := b.keys
		if err := b.save(keyOf(1), &w, store.IfVersion(signedIn.Version)); err != nil {
			return err
		}
		if err := b.writeCounts(); b.keys != before+1 || err != nil {
			t.Errorf("%d keys were written, %v", b.keys-before, err)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
}
