package lock_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// slow is a store whose leases take a while, and that counts them.
type slow struct {
	*memstore.Leasing
	takes         atomic.Int64 // nanoseconds
	running, most atomic.Int64
}

func (s *slow) Lease(ctx context.Context, key store.Key, holder uint64, ttl time.Duration) error {
	if n := s.running.Add(1); n > s.most.Load() {
		s.most.Store(n)
	}
	defer s.running.Add(-1)
	select {
	case <-time.After(time.Duration(s.takes.Load())):
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.Leasing.Lease(ctx, key, holder, ttl)
}

func keyOf(n int) store.Key {
	return store.Key{Manager: "shop", ID: store.ID{byte(n), byte(n >> 8)}}
}

// TestManyLeases: a thousand leases are prolonged by one timer, without a
// goroutine of their own, a few at once, and none is lost.
func TestManyLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		st := &slow{Leasing: memstore.New(time.Now).WithLeases()}
		l := lock.NewLeases(st)
		before := runtime.NumGoroutine()
		held := make([]*lock.Lease, n)
		for i := range held {
			var err error
			if held[i], err = l.Take(t.Context(), keyOf(i), 0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		if more := runtime.NumGoroutine() - before; more > 1 {
			t.Errorf("%d goroutines for %d leases", more, n)
		}
		st.takes.Store(int64(10 * time.Millisecond))
		st.most.Store(0)
		calls := st.Calls("lease")
		time.Sleep(time.Minute)
		synctest.Wait()
		if most := st.most.Load(); most < 2 || most > 16 {
			t.Errorf("%d were prolonged at once", most)
		}
		if got := st.Calls("lease") - calls; got < 17*n || got > 24*n {
			t.Errorf("prolonged %d times in a minute", got)
		}
		st.takes.Store(0)
		other := lock.NewLeases(st)
		for i := range held {
			if _, err := other.Take(t.Context(), keyOf(i), 0); !errors.Is(err, lock.ErrLocked) {
				t.Fatalf("lease %d was lost: %v", i, err)
			}
		}
		for i := range held {
			held[i].Release()
		}
		calls = st.Calls("lease")
		time.Sleep(time.Hour)
		if got := st.Calls("lease") - calls; got > 0 {
			t.Errorf("%d calls for leases that were given back", got)
		}
	})
}

// TestReleaseWhileItIsProlonged: what was given back is not taken again by a
// call that was under way.
func TestReleaseWhileItIsProlonged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &slow{Leasing: memstore.New(time.Now).WithLeases()}
		l := lock.NewLeases(st)
		one, err := l.Take(t.Context(), keyOf(1), 0)
		if err != nil {
			t.Fatal(err)
		}
		st.takes.Store(int64(2 * time.Second))
		time.Sleep(4 * time.Second) // it is being prolonged
		if st.running.Load() != 1 {
			t.Fatal("it is not being prolonged")
		}
		st.takes.Store(0) // of what gives it back
		one.Release()
		time.Sleep(2 * time.Second)
		two, err := lock.NewLeases(st).Take(t.Context(), keyOf(1), 0)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		two.Release()
	})
}

// TestALeaseWhoseProlongingTimedOut is prolonged again at once, also if the
// timer waits for a later lease.
func TestALeaseWhoseProlongingTimedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &slow{Leasing: memstore.New(time.Now).WithLeases()}
		l := lock.NewLeases(st)
		one, err := l.Take(t.Context(), keyOf(1), 0)
		if err != nil {
			t.Fatal(err)
		}
		st.takes.Store(int64(time.Minute))
		time.Sleep(6 * time.Second) // it is being prolonged, in vain
		st.takes.Store(0)
		two, err := l.Take(t.Context(), keyOf(2), 0)
		if err != nil {
			t.Fatal(err)
		}
		calls := st.Calls("lease")
		time.Sleep(time.Second) // the call has timed out, and the second lease is not due
		synctest.Wait()
		if got := st.Calls("lease") - calls; got != 1 {
			t.Errorf("prolonged %d times, want once", got)
		}
		two.Release()
		one.Release()
	})
}
