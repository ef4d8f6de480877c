package redisstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/redisstore"
)

// TestWokenByAnother: what one process stores is delivered by another one, also
// after its connection was lost.
func TestWokenByAnother(t *testing.T) {
	s, o := fresh(t)
	other := open(t, o)
	s.Subscribe(toHook)
	filed := other.Filed("hook")
	end := func(id byte) {
		t.Helper()
		create(t, s, keyOf("shop", id), "x")
		if err := s.Delete(t.Context(), keyOf("shop", id), store.Revoked); err != nil {
			t.Fatal(err)
		}
	}
	end(1)
	woken(t, "a delete", filed) // or the beginning of the subscription, if that comes later
	due, _, err := other.Deliveries(t.Context(), "hook", 10)
	if err != nil || len(due) != 1 || string(due[0].Data) != "x" {
		t.Fatalf("got %+v, %v", due, err)
	}
	if err := other.Settle(t.Context(), store.Settlement{ID: due[0].ID, Dead: true}); err != nil {
		t.Fatal(err)
	}
	c := admin(t, o.Address)
	if err := c.Do(t.Context(), c.B().Arbitrary("CLIENT", "KILL", "TYPE", "pubsub").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	woken(t, "the return of the connection", filed)
	// The other one retries a dead letter that it has not seen itself.
	third := open(t, o)
	if err := third.RetryDeadLetter(t.Context(), due[0].ID); err != nil {
		t.Fatal(err)
	}
	woken(t, "a retry", filed)
	if err := third.Settle(t.Context(), store.Settlement{ID: due[0].ID, Delivered: true}); err != nil {
		t.Fatal(err)
	}
	if due, _, err := s.Deliveries(t.Context(), "hook", 10); err != nil || len(due) > 0 {
		t.Fatalf("got %+v, %v", due, err)
	}
}

// TestOneDelivers: of several processes one delivers to a listener. When it
// closes the store another one does at once, and when it dies after a while.
func TestOneDelivers(t *testing.T) {
	s, o := fresh(t)
	s.Subscribe(toHook)
	second, third := open(t, o), open(t, o)
	create(t, s, keyOf("shop", 1), "x")
	if err := s.Delete(t.Context(), keyOf("shop", 1), store.Revoked); err != nil {
		t.Fatal(err)
	}
	expect := func(s *redisstore.Store, want int) time.Time {
		t.Helper()
		due, next, err := s.Deliveries(t.Context(), "hook", 10)
		if err != nil || len(due) != want || next.IsZero() != (want > 0) {
			t.Fatalf("got %+v, next at %v, %v; want %d", due, next, err, want)
		}
		return next
	}
	expect(s, 1)
	if next := expect(second, 0); next.After(time.Now().Add(15 * time.Second)) {
		t.Errorf("asking again at %v is late", next)
	}
	expect(s, 1)
	filed := second.Filed("hook")
	for len(filed) > 0 {
		<-filed
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	woken(t, "the close of the other one", filed)
	expect(second, 1)
	second.Die()
	expect(third, 0)
	c := admin(t, o.Address) // lets the time go by
	if err := c.Do(t.Context(), c.B().Pexpire().Key(o.Prefix+":{$}:claim:hook").Milliseconds(1).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		due, _, err := third.Deliveries(t.Context(), "hook", 10)
		if err == nil && len(due) == 0 {
			err = errors.New("the other one is taken for alive")
		}
		return err
	})
	expect(second, 0)
}

// TestPendingOverManagers: the limit of what waits for a listener counts what
// waits for it in all managers, as last seen.
func TestPendingOverManagers(t *testing.T) {
	s, _ := fresh(t)
	s.Subscribe(toHook)
	s.LimitPending("hook", 3)
	for i := range byte(5) {
		key := keyOf([]string{"shop", "cart"}[i%2], i)
		create(t, s, key, "x")
		if err := s.Delete(t.Context(), key, store.Revoked); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Deliveries(t.Context(), "hook", 1); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := s.Backlog(t.Context()); err != nil || len(b) != 1 || b[0].Waiting != 3 || b[0].Dead != 2 || b[0].Overflowed != 2 {
		t.Fatalf("got %+v, %v", b, err)
	}
}
