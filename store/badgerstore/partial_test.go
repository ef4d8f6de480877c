package badgerstore

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
)

// stored returns all keys and values of a store.
func stored(t *testing.T, s *Store) string {
	t.Helper()
	var all strings.Builder
	err := s.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			value, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			fmt.Fprintf(&all, "%x %x\n", it.Item().Key(), value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

var errStaging = errors.New("staging fails")

// TestNothingOfAnOperationThatFails is committed, wherever it fails.
func TestNothingOfAnOperationThatFails(t *testing.T) {
	for name, operate := range map[string]func(*testing.T, *Store) error{
		"save": func(t *testing.T, s *Store) error {
			return s.Save(t.Context(), keyOf(9), store.Write{Record: record("z")}, store.Create())
		},
		"delete": func(t *testing.T, s *Store) error {
			return s.Delete(t.Context(), keyOf(1), store.Destroyed)
		},
		"touch flush": func(t *testing.T, s *Store) error {
			due := make(map[store.Key]touched)
			for i := range byte(2) {
				rec, err := s.Load(t.Context(), keyOf(1+i))
				if err != nil {
					t.Fatal(err)
				}
				due[keyOf(1+i)] = touched{access: access{rec.Incarnation, rec.Accessed.Add(time.Minute)}}
			}
			return s.writer.flush(due)
		},
		"sweep": func(t *testing.T, s *Store) error {
			ended, _, err := s.Sweep(t.Context(), time.Now().Add(300*24*time.Hour), 10)
			if ended > 0 {
				return nil // the watermarks are another operation
			}
			return err
		},
		"settle": func(t *testing.T, s *Store) error {
			return s.Settle(t.Context(), store.Settlement{ID: firstDelivery(t, s), Delivered: true})
		},
		"purge": func(t *testing.T, s *Store) error {
			_, err := s.PurgeListener(t.Context(), "hook")
			return err
		},
		"retry": func(t *testing.T, s *Store) error {
			all, err := s.DeadLetters(t.Context(), "", 1)
			if err != nil || len(all) != 1 {
				t.Fatal(all, err)
			}
			return s.RetryDeadLetter(t.Context(), all[0].ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var left atomic.Int64 // stagings until one fails
			left.Store(1 << 40)
			s := open(t, t.TempDir(), func(o *Options) {
				o.Durability = Async
				o.staging = func([]byte) error {
					if left.Add(-1) == 0 {
						return errStaging
					}
					return nil
				}
			})
			defer shut(t, s)
			s.Subscribe(func(string, store.EventKind) []string { return []string{"hook"} })
			create(t, s, keyOf(1), "x")
			create(t, s, keyOf(2), "y")
			create(t, s, keyOf(3), "z")
			if err := s.Delete(t.Context(), keyOf(3), store.Destroyed); err != nil {
				t.Fatal(err)
			}
			if name == "retry" {
				if err := s.Settle(t.Context(), store.Settlement{ID: firstDelivery(t, s), Dead: true}); err != nil {
					t.Fatal(err)
				}
			}
			before, failed := stored(t, s), 0
			for ; ; failed++ {
				left.Store(int64(failed + 1))
				err := behindAnother(t, s, func() error { return operate(t, s) })
				left.Store(1 << 40)
				if err == nil {
					break
				}
				if !errors.Is(err, errStaging) {
					t.Fatalf("got %v", err)
				}
				if now := stored(t, s); now != before {
					t.Fatalf("failed at change %d: the store held\n%sand holds\n%s", failed, before, now)
				}
				if _, err := s.Load(t.Context(), keyOf(1)); err != nil && name != "sweep" {
					t.Fatalf("failed at change %d: %v", failed, err)
				}
			}
			if failed < 2 {
				t.Fatalf("%d changes", failed)
			}
			consistent(t, s)
		})
	}
}

// behindAnother has an operation join a batch that has something to commit
// already: a batch with nothing but what has failed is not committed at all.
func behindAnother(t *testing.T, s *Store, operate func() error) error {
	t.Helper()
	began, done := make(chan struct{}), make(chan error, 1)
	queued := make(chan error, 1)
	go func() {
		queued <- s.writer.do(t.Context(), &op{run: func(*batch) error { // a batch of its own
			close(began)
			for len(s.writer.ops) < 2 && len(done) == 0 {
				runtime.Gosched()
			}
			return nil
		}})
	}()
	<-began
	other := &op{done: make(chan error, 1), run: func(b *batch) error { b.staged++; return nil }}
	s.writer.ops <- other
	go func() { done <- operate() }()
	if err := <-queued; err != nil {
		t.Fatal(err)
	}
	if err := <-other.done; err != nil && !errors.Is(err, errStaging) {
		t.Fatal(err)
	}
	return <-done
}

// firstDelivery returns the ID of a delivery that waits for the listener.
func firstDelivery(t *testing.T, s *Store) string {
	t.Helper()
	all, _, err := s.Deliveries(t.Context(), "hook", 1)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	return all[0].ID
}

// TestOthersOfTheBatchAreCommitted without the operation that has failed.
func TestOthersOfTheBatchAreCommitted(t *testing.T) {
	bad := keyOf(2)
	var armed atomic.Bool
	seen := 0
	s := open(t, t.TempDir(), func(o *Options) {
		o.Durability = Async
		o.staging = func(key []byte) error {
			if armed.Load() && bytes.Contains(key, bad.ID[:]) {
				if seen++; seen > 1 {
					return errStaging
				}
			}
			return nil
		}
	})
	defer shut(t, s)
	create(t, s, bad, "x")
	armed.Store(true)
	ops := make([]*op, 3)
	for i := range ops {
		ops[i] = &op{key: keyOf(byte(1 + i)), done: make(chan error, 1), run: func(b *batch) error {
			if i == 1 {
				return b.delete(bad, store.Destroyed)
			}
			return b.save(keyOf(byte(1+i)), &store.Write{Record: record("y")}, store.Create())
		}}
	}
	err := s.writer.do(t.Context(), &op{run: func(*batch) error { // in the writer's goroutine
		for rest := ops; len(rest) > 0; {
			rest = rest[s.writer.attempt(rest):]
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range ops {
		if err := <-o.done; errors.Is(err, errStaging) != (o.key == bad) {
			t.Errorf("%v: %v", o.key, err)
		}
	}
	for i := range byte(3) {
		if _, err := s.Load(t.Context(), keyOf(1+i)); err != nil {
			t.Errorf("session %d: %v", i, err)
		}
	}
	consistent(t, s)
}
