package badgerstore

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
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

// isEmptyOutbox returns an error if anything of an event is left.
func isEmptyOutbox(txn *badger.Txn) (err error) {
	for _, kind := range []byte{keyEvent, keyRecipient, keyDelivery, keyQueue, keyDue, keyDead} {
		eachKey(txn, []byte{kind}, func(key []byte) bool { err = fmt.Errorf("%q is left", key); return false })
	}
	return err
}
