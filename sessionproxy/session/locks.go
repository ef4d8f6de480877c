package session

import (
	"container/list"
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Locks is the table of session locks of one process. It belongs beside the
// store, not to a manager: managers come and go with each configuration, and
// the old and the new one must queue in the same line.
//
// A lock is handed over first in, first out: release gives it directly to the
// waiter that came first, without polling. Safe for concurrent use.
type Locks struct {
	seed   maphash.Seed
	shards [64]lockShard
}

type lockShard struct {
	mu   sync.Mutex
	held map[store.Key]*list.List // of *waiter; mu protects map, lists and waiters
}

type waiter struct {
	turn    chan struct{} // closed when the lock has been handed over
	granted bool
}

// NewLocks returns an empty table.
func NewLocks() *Locks {
	l := &Locks{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].held = make(map[store.Key]*list.List)
	}
	return l
}

func (l *Locks) shard(key store.Key) *lockShard {
	return &l.shards[maphash.Comparable(l.seed, key)%uint64(len(l.shards))]
}

// Acquire takes the lock of key, queueing behind at most queue-1 others for at
// most wait; a wait of zero tries once. It returns an error wrapping ErrLocked
// when the lock was not to be had, or the context's error when the context
// ended first; in both cases the place in the queue is given up.
func (l *Locks) Acquire(ctx context.Context, key store.Key, wait time.Duration, queue int) error {
	s := l.shard(key)
	s.mu.Lock()
	line, taken := s.held[key]
	if !taken {
		s.held[key] = list.New()
		s.mu.Unlock()
		return nil
	}
	if wait <= 0 || line.Len() >= queue {
		n := line.Len()
		s.mu.Unlock()
		if wait <= 0 {
			return fmt.Errorf("%w: it is held by another request", ErrLocked)
		}
		return fmt.Errorf("%w: %d requests are waiting for it already", ErrLocked, n)
	}
	w := &waiter{turn: make(chan struct{})}
	place := line.PushBack(w)
	s.mu.Unlock()

	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-w.turn:
		return nil
	case <-ctx.Done():
		if s.leave(key, place) {
			l.Release(key) // it was handed over to somebody who had gone
		}
		return context.Cause(ctx)
	case <-timer.C:
		if s.leave(key, place) {
			return nil
		}
		return fmt.Errorf("%w: waited %v for it", ErrLocked, wait)
	}
}

// leave gives up a place in the queue. It reports true if the lock had been
// handed over meanwhile, so that the caller holds it after all.
func (s *lockShard) leave(key store.Key, place *list.Element) (granted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if place.Value.(*waiter).granted {
		return true
	}
	s.held[key].Remove(place)
	return false
}

// Release hands the lock of key to the first waiter, or frees it. Only the
// holder may call it, once.
func (l *Locks) Release(key store.Key) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	line, taken := s.held[key]
	if !taken {
		panic("session: release of a lock that is not held")
	}
	first := line.Front()
	if first == nil {
		delete(s.held, key)
		return
	}
	w := line.Remove(first).(*waiter)
	w.granted = true
	close(w.turn)
}

// Waiting returns how many requests queue for the lock of key, its holder not counted.
func (l *Locks) Waiting(key store.Key) int {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if line := s.held[key]; line != nil {
		return line.Len()
	}
	return 0
}

// Held reports whether somebody holds the lock of key.
func (l *Locks) Held(key store.Key) bool {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[key] != nil
}
