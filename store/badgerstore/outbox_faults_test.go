package badgerstore

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

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

// What counts and watermarks of a damaged record remain is put right by the next call that
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
