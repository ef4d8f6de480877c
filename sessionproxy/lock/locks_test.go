package lock

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

var lockKey = store.Key{Manager: "m", ID: store.ID{1}}

func TestLocksAreHandedOverInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLocks()
		take(t, l)
		var order []int
		for i := range 8 {
			go func() {
				if err := l.Acquire(t.Context(), lockKey, Holder{}, time.Hour, 32); err != nil {
					t.Error(err)
				}
				order = append(order, i) // the lock itself guards it
				l.Release(lockKey)
			}()
			synctest.Wait() // this one queues before the next comes
		}
		if n := l.waiting(lockKey); n != 8 {
			t.Fatalf("%d wait, want 8", n)
		}
		l.Release(lockKey)
		synctest.Wait()
		for i, got := range order {
			if got != i {
				t.Fatalf("order of hand-over: %v", order)
			}
		}
		if len(order) != 8 || l.isHeld(lockKey) {
			t.Fatalf("%d had their turn, held: %v", len(order), l.isHeld(lockKey))
		}
	})
}

func TestLocksRefuse(t *testing.T) {
	t.Run("wait zero tries once", func(t *testing.T) {
		l := NewLocks()
		take(t, l)
		if err := l.Acquire(t.Context(), lockKey, Holder{}, 0, 32); !errors.Is(err, ErrLocked) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("a full queue", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := NewLocks()
			take(t, l)
			go func() { _ = l.Acquire(t.Context(), lockKey, Holder{}, time.Hour, 1); l.Release(lockKey) }()
			synctest.Wait()
			if err := l.Acquire(t.Context(), lockKey, Holder{}, time.Hour, 1); !errors.Is(err, ErrLocked) {
				t.Fatalf("got %v", err)
			}
			l.Release(lockKey)
		})
	})
	t.Run("after the wait, and the place is free again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := NewLocks()
			take(t, l)
			start := time.Now()
			err := l.Acquire(t.Context(), lockKey, Holder{}, 3*time.Second, 32)
			if !errors.Is(err, ErrLocked) || time.Since(start) != 3*time.Second {
				t.Fatalf("got %v after %v", err, time.Since(start))
			}
			if n := l.waiting(lockKey); n != 0 {
				t.Fatalf("%d still wait", n)
			}
			l.Release(lockKey)
			take(t, l)
		})
	})
	t.Run("a client that leaves gives up its place", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := NewLocks()
			take(t, l)
			ctx, cancel := context.WithCancel(t.Context())
			left := make(chan error)
			go func() { left <- l.Acquire(ctx, lockKey, Holder{}, time.Hour, 32) }()
			synctest.Wait()
			cancel()
			if err := <-left; !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
			l.Release(lockKey)
			if l.isHeld(lockKey) {
				t.Fatal("the lock went to a client that had left")
			}
		})
	})
	t.Run("one key does not hinder another", func(t *testing.T) {
		l := NewLocks()
		take(t, l)
		other := lockKey
		other.Manager = "n"
		if err := l.Acquire(t.Context(), other, Holder{}, 0, 1); err != nil {
			t.Fatal(err)
		}
	})
}

// A waiter whose turn comes at the very moment at which it leaves must pass
// the lock on: run with many interleavings.
func TestLocksAreNotLostWhenLeavingMeetsHandOver(t *testing.T) {
	l := NewLocks()
	for range 2000 {
		take(t, l)
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { left <- l.Acquire(ctx, lockKey, Holder{}, time.Hour, 32) }()
		for l.waiting(lockKey) == 0 {
			runtime.Gosched()
		}
		cancel() // it will leave, but does not yet know that
		l.Release(lockKey)
		if err := <-left; err == nil {
			l.Release(lockKey)
		}
		cancel()
		if l.isHeld(lockKey) {
			t.Fatal("the lock is held by nobody")
		}
	}
}

func take(t *testing.T, l *Locks) {
	t.Helper()
	if err := l.Acquire(t.Context(), lockKey, Holder{}, 0, 32); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkLockHandOver measures from a release to the start of the next
// holder, with 32 waiters in the queue.
func BenchmarkLockHandOver(b *testing.B) {
	const waiters = 32
	l := NewLocks()
	if err := l.Acquire(b.Context(), lockKey, Holder{}, 0, waiters); err != nil {
		b.Fatal(err)
	}
	var released time.Time // guarded by the lock itself
	took := make([]time.Duration, 0, b.N)
	var wg sync.WaitGroup
	for range waiters {
		wg.Go(func() {
			for {
				if err := l.Acquire(b.Context(), lockKey, Holder{}, time.Minute, waiters); err != nil {
					b.Error(err)
					return
				}
				took = append(took, time.Since(released))
				done := len(took) >= b.N
				released = time.Now()
				l.Release(lockKey)
				if done {
					return
				}
			}
		})
	}
	for l.waiting(lockKey) < waiters {
		runtime.Gosched()
	}
	released = time.Now()
	b.ResetTimer()
	l.Release(lockKey)
	wg.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "median-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
}

// waiting returns how many requests queue for the lock of key, its holder not counted.
func (l *Locks) waiting(key store.Key) int {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if held := s.held[key]; held != nil {
		return held.waiters.Len()
	}
	return 0
}

// isHeld reports whether the lock of key is held.
func (l *Locks) isHeld(key store.Key) bool {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[key] != nil
}
