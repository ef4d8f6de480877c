package lock

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Locks is the table of session locks of one process. It belongs beside the
// store, not to a manager: managers come and go with each configuration, and
// the old and the new one must share a queue.
//
// A lock is handed over first in, first out: release gives it directly to the
// waiter that came first, without polling. Safe for concurrent use.
//
// Beyond one process a lock is only as good as its store. What makes
// serialized lose nothing is not the lock but the version: a commit for an
// older one is a conflict, whatever was locked. So a store that processes share
// needs no more than store.Leaser for them to take turns: the holder of the
// lock here takes the lease there, prolongs it while its request runs, and
// gives it back with the lock. Within a process waiters still queue in order;
// between processes the first request after the end of a lease gets it. An engine
// that can queue, or lock and load in one round trip, would bring that as an
// ability of its own, in place of Lease. A store without the ability, as
// the embedded one, belongs to one process, and pays nothing.
type Locks struct {
	seed   maphash.Seed
	shards [64]lockShard
}

// ErrLocked says that the session's lock was not obtained in time, or that its queue is full.
var ErrLocked = errors.New("session is locked")

// Holder is the request that has a lock.
type Holder struct {
	Method, Path string
}

type lockShard struct {
	mu   sync.Mutex
	held map[store.Key]*queue // mu protects held, and each queue in it
}

// queue is one lock that is held, with its waiters.
type queue struct {
	waiters list.List // of *waiter, the first one first
	holder  Holder
	since   time.Time
}

type waiter struct {
	grant   chan struct{} // closed when the lock has been handed over
	holder  Holder
	granted bool
}

// Lock is what operators see of a lock that is held.
type Lock struct {
	Key     store.Key
	Holder  Holder
	Since   time.Time
	Waiting int // requests in the queue
}

// NewLocks returns an empty table.
func NewLocks() *Locks {
	l := &Locks{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].held = make(map[store.Key]*queue)
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
func (l *Locks) Acquire(ctx context.Context, key store.Key, holder Holder, wait time.Duration, queue int) error {
	s := l.shard(key)
	s.mu.Lock()
	held, taken := s.held[key]
	if !taken {
		s.take(key, holder)
		s.mu.Unlock()
		return nil
	}
	if n := held.waiters.Len(); wait <= 0 || n >= queue {
		s.mu.Unlock()
		if wait <= 0 {
			return fmt.Errorf("%w: it is held by another request", ErrLocked)
		}
		return fmt.Errorf("%w: %d requests are waiting for it already", ErrLocked, n)
	}
	w := &waiter{grant: make(chan struct{}), holder: holder}
	place := held.waiters.PushBack(w)
	s.mu.Unlock()

	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-w.grant:
		return nil
	case <-ctx.Done():
		if s.leave(key, place) {
			l.Release(key) // it was handed over when the request had gone
		}
		return context.Cause(ctx)
	case <-timer.C:
		if s.leave(key, place) {
			return nil
		}
		return fmt.Errorf("%w: waited %v for it", ErrLocked, wait)
	}
}

// Try takes the lock of key if it is free.
func (l *Locks) Try(key store.Key, holder Holder) bool {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.held[key]; taken {
		return false
	}
	s.take(key, holder)
	return true
}

// take notes the holder of a lock that was free. Called with mu held.
func (s *lockShard) take(key store.Key, holder Holder) {
	s.held[key] = &queue{holder: holder, since: time.Now()}
}

// leave gives up a place in the queue. It reports true if the lock had been
// handed over meanwhile, so that the caller holds it after all.
func (s *lockShard) leave(key store.Key, place *list.Element) (granted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if place.Value.(*waiter).granted {
		return true
	}
	s.held[key].waiters.Remove(place)
	return false
}

// Release hands the lock of key to the first waiter, or frees it. Only the
// holder may call it, once.
func (l *Locks) Release(key store.Key) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	held, taken := s.held[key]
	if !taken {
		panic("lock: release of a lock that is not held")
	}
	first := held.waiters.Front()
	if first == nil {
		delete(s.held, key)
		return
	}
	w := held.waiters.Remove(first).(*waiter)
	held.holder, held.since = w.holder, time.Now()
	w.granted = true
	close(w.grant)
}

// Len returns how many locks are held.
func (l *Locks) Len() (n int) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		n += len(s.held)
		s.mu.Unlock()
	}
	return n
}

// All returns the locks that are held, those of one process and one moment
// each. It holds no lock while it lists.
func (l *Locks) All() (all []Lock) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for key, held := range s.held {
			all = append(all, Lock{Key: key, Holder: held.holder, Since: held.since, Waiting: held.waiters.Len()})
		}
		s.mu.Unlock()
	}
	return all
}
