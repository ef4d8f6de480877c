package badgerstore

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// What waits is more than one step takes: dead, of one session, and of many.
// There is no space left on the disk, and nothing is left of the sessions.
func TestDiscardingMany(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	s := open(t, t.TempDir(), func(o *Options) {
		o.free = func(string) (int64, error) { return free.Load(), nil }
		o.Reserve, o.Durability = 1<<30, Async
	})
	defer shut(t, s)
	rec := create(t, s, keyOf(1), "x")
	s.Subscribe(to("gone"))
	saved := store.Event{Kind: store.EventSaved, Keys: []string{"k"}}
	const n = settleStep + 7
	for i := range n {
		next := rec
		next.Version = rec.Version.Next()
		if err := s.Save(t.Context(), keyOf(1), store.Write{Record: next, Events: []store.Event{saved}}, store.IfVersion(rec.Version)); err != nil {
			t.Fatal(err)
		}
		rec = next
		create(t, s, crashKey(i), "y")
		if err := s.Delete(t.Context(), crashKey(i), store.Destroyed); err != nil {
			t.Fatal(err)
		}
	}
	s.Subscribe(to("gone", "hook"))
	if err := s.Delete(t.Context(), keyOf(1), store.Destroyed); err != nil {
		t.Fatal(err)
	}
	due, _, err := s.Deliveries(t.Context(), "gone", n)
	if err != nil || len(due) != n {
		t.Fatalf("%d deliveries, %v", len(due), err)
	}
	dead := make([]store.Settlement, 0, n)
	for _, d := range due {
		dead = append(dead, store.Settlement{ID: d.ID, Dead: true})
	}
	if err := s.Settle(t.Context(), dead...); err != nil {
		t.Fatal(err)
	}
	free.Store(1 << 20)
	s.space.Refresh()
	if err := s.DeleteDeadLetter(t.Context(), dead[0].ID); err != nil {
		t.Fatal(err)
	}
	if got, err := s.PurgeListener(t.Context(), "gone"); got != 2*n || err != nil {
		t.Fatalf("discarded %d, %v", got, err)
	}
	consistent(t, s)
	if got, err := s.PurgeListener(t.Context(), "hook"); got != 1 || err != nil {
		t.Fatalf("discarded %d, %v", got, err)
	}
	if err := s.db.View(isEmpty); err != nil {
		t.Fatal(err)
	}
	consistent(t, s)
}

func TestDiscardingWhileABackupIsRestored(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	create(t, s, keyOf(1), "x")
	s.Subscribe(to("gone"))
	if err := s.Delete(t.Context(), keyOf(1), store.Destroyed); err != nil {
		t.Fatal(err)
	}
	s.restoring.Store(true)
	if n, err := s.PurgeListener(t.Context(), "gone"); n != 0 || !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("discarded %d, %v", n, err)
	}
	s.restoring.Store(false)
	if n, err := s.PurgeListener(t.Context(), "gone"); n != 1 || err != nil {
		t.Fatalf("discarded %d, %v", n, err)
	}
}

// damagedRetry files three events of a session: the first one is dead, the
// second one is damaged and was put off.
func damagedRetry(t *testing.T) (s *Store, dead string) {
	t.Helper()
	s = open(t, t.TempDir(), func(o *Options) { o.Logger = zap.NewNop() })
	s.Subscribe(to("hook"))
	rec := create(t, s, keyOf(1), "x")
	for range 3 {
		next := rec
		next.Version = rec.Version.Next()
		w := store.Write{Record: next, Events: []store.Event{{Kind: store.EventSaved}}}
		if err := s.Save(t.Context(), keyOf(1), w, store.IfVersion(rec.Version)); err != nil {
			t.Fatal(err)
		}
		rec = next
	}
	dead = firstDelivery(t, s)
	if err := s.Settle(t.Context(), store.Settlement{ID: dead, Dead: true}); err != nil {
		t.Fatal(err)
	}
	second := firstDelivery(t, s)
	if err := s.Settle(t.Context(), store.Settlement{ID: second, Next: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	n, _ := s.listeners.number("hook")
	seq, _, _ := archive.ParseDeliveryID(second)
	if err := s.db.Update(func(txn *badger.Txn) error { return txn.Set(deliveryKey(n, seq), []byte("damaged")) }); err != nil {
		t.Fatal(err)
	}
	return s, dead
}

// Nothing is left of a delivery that was put off and then damaged.
func TestDiscardingADamagedRetry(t *testing.T) {
	s, _ := damagedRetry(t)
	defer shut(t, s)
	if n, err := s.PurgeListener(t.Context(), "hook"); n != 3 || err != nil {
		t.Fatalf("discarded %d, %v", n, err)
	}
	if err := s.db.View(isEmptyOutbox); err != nil {
		t.Error(err)
	}
	consistent(t, s)
}

// One that is damaged and was put off is due once, also after another one has
// come before it and was delivered: it is given up with one line.
func TestADamagedRetryIsGivenUpOnce(t *testing.T) {
	s, dead := damagedRetry(t)
	defer shut(t, s)
	if err := s.RetryDeadLetter(t.Context(), dead); err != nil {
		t.Fatal(err)
	}
	if id := firstDelivery(t, s); id != dead {
		t.Fatalf("%s is due", id)
	}
	if err := s.Settle(t.Context(), store.Settlement{ID: dead, Delivered: true}); err != nil {
		t.Fatal(err)
	}
	last := firstDelivery(t, s)
	if err := s.Settle(t.Context(), store.Settlement{ID: last, Delivered: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.db.View(isEmptyOutbox); err != nil {
		t.Error(err)
	}
	if n := s.Stats().Damaged; n != 1 {
		t.Errorf("%d damages are counted", n)
	}
	consistent(t, s)
}
