package badgerstore

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

func TestSettlingManyAtOnce(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) { o.Durability = Async })
	defer shut(t, s)
	s.Subscribe(to("hook"))
	const n = 3 * settleStep
	for i := range n {
		key := crashKey(i)
		create(t, s, key, "x")
		if err := s.Delete(t.Context(), key, store.Destroyed); err != nil {
			t.Fatal(err)
		}
	}
	due, _, err := s.Deliveries(t.Context(), "hook", 2*n)
	if err != nil || len(due) != n {
		t.Fatalf("%d deliveries, %v", len(due), err)
	}
	done := make([]store.Settlement, 0, n)
	for i, d := range due {
		if crashNumber(d.Key) != i {
			t.Fatalf("%d is the %dth", crashNumber(d.Key), i)
		}
		done = append(done, store.Settlement{ID: d.ID, Delivered: true})
	}
	if err := s.Settle(t.Context(), done...); err != nil {
		t.Fatal(err)
	}
	if err := s.db.View(isEmpty); err != nil {
		t.Fatal(err)
	}
	consistent(t, s)
}

// Two settlements of one event in one batch: it goes with the last one.
func TestAnEventGoesWithItsLastDelivery(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	create(t, s, keyOf(1), "x")
	listeners := []string{"a", "b", "c", "a"} // one is named twice, and told once
	s.Subscribe(to(listeners...))
	if err := s.Delete(t.Context(), keyOf(1), store.Destroyed); err != nil {
		t.Fatal(err)
	}
	var done []store.Settlement
	for _, l := range listeners[:3] {
		due, _, err := s.Deliveries(t.Context(), l, 10)
		if err != nil || len(due) != 1 {
			t.Fatalf("%d deliveries, %v", len(due), err)
		}
		done = append(done, store.Settlement{ID: due[0].ID, Delivered: true})
	}
	if err := s.Settle(t.Context(), done[0], done[0], done[1]); err != nil {
		t.Fatal(err)
	}
	consistent(t, s)
	if due, _, err := s.Deliveries(t.Context(), "c", 10); err != nil || len(due) != 1 || string(due[0].Data) != "x" {
		t.Fatalf("%+v, %v", due, err)
	}
	if err := s.Settle(t.Context(), done[2]); err != nil {
		t.Fatal(err)
	}
	if err := s.db.View(isEmpty); err != nil {
		t.Fatal(err)
	}
	consistent(t, s)
}

// A delivery whose bytes are damaged is given up, and holds up no other.
func TestDamagedDeliveriesAreGivenUp(t *testing.T) {
	for _, kind := range []byte{keyEvent, keyDelivery} {
		t.Run(string(kind), func(t *testing.T) {
			s := open(t, t.TempDir(), func(o *Options) { o.Logger = zap.NewNop() })
			defer shut(t, s)
			s.Subscribe(to("hook"))
			for i := range byte(2) {
				create(t, s, keyOf(i), fmt.Sprint(i))
				if err := s.Delete(t.Context(), keyOf(i), store.Destroyed); err != nil {
					t.Fatal(err)
				}
			}
			err := s.db.Update(func(txn *badger.Txn) error {
				it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kind}})
				it.Rewind()
				key := it.Item().KeyCopy(nil)
				it.Close()
				return txn.Set(key, []byte("damaged"))
			})
			if err != nil {
				t.Fatal(err)
			}
			due, _, err := s.Deliveries(t.Context(), "hook", 10)
			if err != nil || len(due) != 1 || string(due[0].Data) != "1" {
				t.Fatalf("%+v, %v", due, err)
			}
			if s.Stats().Damaged == 0 {
				t.Fatal("not counted")
			}
			consistent(t, s)
		})
	}
}

// After a commit that failed the writer looks at the disk: what it staged is
// not there, and memory does not say so either.
func TestAFailedCommitLeavesNothingBehind(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	rec := create(t, s, keyOf(1), "x")
	var ended []store.Ended
	s.Observe(func(e store.Ended) { ended = append(ended, e) })
	s.Subscribe(to("hook"))
	err := s.writer.do(t.Context(), &op{run: func(b *batch) error {
		defer b.txn.Discard() // so that the commit fails
		return b.delete(keyOf(1), store.Destroyed)
	}})
	if !errors.Is(err, store.ErrUnknown) || len(ended) > 0 {
		t.Fatalf("%v, told of %v", err, ended)
	}
	if got, err := s.Load(t.Context(), keyOf(1)); err != nil || got.Version != rec.Version {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := s.Delete(t.Context(), keyOf(1), store.Destroyed); err != nil || len(ended) != 1 {
		t.Fatalf("%v, told of %v", err, ended)
	}
	consistent(t, s)
	if due, _, err := s.Deliveries(t.Context(), "hook", 10); err != nil || len(due) != 1 {
		t.Fatalf("%d deliveries, %v", len(due), err)
	}
}

// The same where the commit did happen.
func TestACommitThatOnlySeemedToFail(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	create(t, s, keyOf(1), "x")
	s.Subscribe(to("hook"))
	filed := s.Filed("hook")
	err := s.writer.do(t.Context(), &op{run: func(b *batch) error {
		return errors.Join(b.delete(keyOf(1), store.Destroyed),
			b.writeCounts(), b.txn.Commit())
	}})
	if !errors.Is(err, store.ErrUnknown) {
		t.Fatalf("got %v", err)
	}
	if len(filed) > 0 {
		t.Fatal("woken by a write of which nothing is known yet")
	}
	create(t, s, keyOf(2), "y")
	if len(filed) == 0 {
		t.Fatal("the listener does not learn that the write did happen")
	}
	consistent(t, s)
	if due, _, err := s.Deliveries(t.Context(), "hook", 10); err != nil || len(due) != 1 {
		t.Fatalf("%d deliveries, %v", len(due), err)
	}
}

func TestCountsAreTakenAnewOnlyWhenTheEngineMayHaveDroppedSessions(t *testing.T) {
	dir := t.TempDir()
	s, clock := onClock(t, dir, 3, nil)
	n, _ := s.managers.number("shop")
	for _, tc := range []struct {
		swept time.Duration
		want  int64
	}{{-backstop + time.Hour, 7}, {-backstop - time.Hour, 3}, {-backstop + time.Hour, 7}} {
		err := s.db.Update(func(txn *badger.Txn) error {
			return errors.Join(txn.Set(numberKey(nil, keyCount, n), uint64Value(7)),
				txn.Set(numberKey(nil, keySwept, n), uint64Value(clock.Now().Add(tc.swept).UnixMilli())))
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.db.Close(); err != nil { // nothing is written by the store itself
			t.Fatal(err)
		}
		s.uses.Load().end()
		close(s.stop)
		s.upkeep.Wait()
		s.writer.close()
		s = open(t, dir, func(o *Options) { o.Now = clock.Now })
		if all, err := s.Counts(t.Context()); err != nil || all[0].Sessions != tc.want {
			t.Fatalf("%v, %v; want %d", all, err, tc.want)
		}
	}
	shut(t, s)
}

// What counts and cursors of a damaged record remain is put right by the next call that
// writes under its key.
func TestADamagedRecordIsNotCountedForEver(t *testing.T) {
	s, clock := onClock(t, t.TempDir(), 2, func(o *Options) { o.Logger, o.CacheBytes = zap.NewNop(), 1 })
	defer shut(t, s)
	n, _ := s.managers.number("shop")
	err := s.db.Update(func(txn *badger.Txn) error { return txn.Set(sessionKey(n, keyOf(1).ID), []byte("damaged")) })
	if err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Hour)
	swept(t, s, 10, 1, false)
	if all, err := s.Counts(t.Context()); err != nil || all[0].Sessions != 0 {
		t.Fatalf("%v, %v", all, err)
	}
}

// What was put off while the clock was ahead does not wait for that time, once
// the clock is right.
func TestDeliveriesAndAClockThatIsSetBack(t *testing.T) {
	for _, reopened := range []bool{false, true} {
		dir := t.TempDir()
		s, clock := onClock(t, dir, 3, nil)
		s.Subscribe(to("hook"))
		for i := range byte(3) {
			if err := s.Delete(t.Context(), keyOf(i), store.Destroyed); err != nil {
				t.Fatal(err)
			}
		}
		putOff := func(d store.Delivery, by time.Duration) {
			t.Helper()
			if err := s.Settle(t.Context(), store.Settlement{ID: d.ID, Next: clock.Now().Add(by)}); err != nil {
				t.Fatal(err)
			}
		}
		due := func(want int) []store.Delivery {
			t.Helper()
			all, _, err := s.Deliveries(t.Context(), "hook", 10)
			if err != nil || len(all) != want {
				t.Fatalf("reopened %v: %d are due, want %d (%v)", reopened, len(all), want, err)
			}
			return all
		}
		year := 365 * 24 * time.Hour
		clock.Advance(year)
		all := due(3)
		putOff(all[0], 5*time.Second)
		putOff(all[1], time.Hour)
		due(1)
		clock.Advance(-year)
		if reopened {
			shut(t, s)
			s = open(t, dir, func(o *Options) { o.Now = clock.Now })
		}
		putOff(due(3)[0], store.MaxRetryDelay)
		due(2)
		clock.Advance(store.MaxRetryDelay)
		due(3)
		shut(t, s)
	}
}

// A batch that is committed while a reader begins is found by the next one.
func TestAnEventThatIsStoredBesideAReader(t *testing.T) {
	var beside atomic.Pointer[func()]
	s := open(t, t.TempDir(), func(o *Options) {
		o.Durability = Async
		o.Now = func() time.Time {
			if f := beside.Swap(nil); f != nil {
				(*f)()
			}
			return time.Now()
		}
	})
	defer shut(t, s)
	s.Subscribe(to("hook"))
	end := func(n byte) {
		create(t, s, keyOf(n), "x")
		if err := s.Delete(t.Context(), keyOf(n), store.Destroyed); err != nil {
			t.Fatal(err)
		}
	}
	due := func(want int) {
		t.Helper()
		all, _, err := s.Deliveries(t.Context(), "hook", 10)
		if err != nil || len(all) != want {
			t.Fatalf("%d are due, want %d (%v)", len(all), want, err)
		}
		for _, d := range all {
			if err := s.Settle(t.Context(), store.Settlement{ID: d.ID, Delivered: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	end(1)
	due(1)
	due(0)
	second := func() { end(2) }
	beside.Store(&second)
	due(0)
	due(1)
	consistent(t, s)
}

// A dead letter that is tried again before a delivery that is damaged waits in
// its place.
func TestARetryBeforeADamagedDelivery(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) { o.Logger = zap.NewNop() })
	defer shut(t, s)
	s.Subscribe(to("hook"))
	rec := create(t, s, keyOf(1), "x")
	for range 2 {
		next := rec
		next.Version = rec.Version.Next()
		w := store.Write{Record: next, Events: []store.Event{{Kind: store.EventSaved}}}
		if err := s.Save(t.Context(), keyOf(1), w, store.IfVersion(rec.Version)); err != nil {
			t.Fatal(err)
		}
		rec = next
	}
	all, _, err := s.Deliveries(t.Context(), "hook", 1)
	if err == nil {
		err = s.Settle(t.Context(), store.Settlement{ID: all[0].ID, Dead: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := s.Deliveries(t.Context(), "hook", 1)
	if err != nil || len(second) != 1 {
		t.Fatal(second, err)
	}
	n, _ := s.listeners.number("hook")
	seq, _, _ := archive.ParseDeliveryID(second[0].ID)
	if err := s.db.Update(func(txn *badger.Txn) error { return txn.Set(deliveryKey(n, seq), []byte("damaged")) }); err != nil {
		t.Fatal(err)
	}
	if err := s.RetryDeadLetter(t.Context(), all[0].ID); err != nil {
		t.Fatal(err)
	}
	due, _, err := s.Deliveries(t.Context(), "hook", 10)
	if err != nil || len(due) != 1 || due[0].ID != all[0].ID {
		t.Fatalf("due are %+v, %v", due, err)
	}
	if err := s.Settle(t.Context(), store.Settlement{ID: due[0].ID, Delivered: true}); err != nil {
		t.Fatal(err)
	}
	if due, _, err := s.Deliveries(t.Context(), "hook", 10); err != nil || len(due) > 0 {
		t.Fatalf("due are %+v, %v", due, err)
	}
	if err := s.db.View(isEmptyOutbox); err != nil {
		t.Fatal(err)
	}
	consistent(t, s)
}

// isEmptyOutbox returns an error if anything of an event is left.
func isEmptyOutbox(txn *badger.Txn) (err error) {
	for _, kind := range []byte{keyEvent, keyRecipient, keyDelivery, keyQueue, keyDue, keyDead} {
		eachKey(txn, []byte{kind}, func(key []byte) bool { err = fmt.Errorf("%q is left", key); return false })
	}
	return err
}
