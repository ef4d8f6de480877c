package badgerstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/disk"
)

// Stats implements store.Reporter.
func (s *Store) Stats() store.Stats {
	stats := store.Stats{
		Batches: s.writer.batches.Load(), Writes: s.writer.writes.Load(), Damaged: s.damaged.Load(), DamagedLogs: s.damagedLogs.Load(),
		Swept: s.swept.Load(), CacheBytes: s.cache.bytes(),
		DiskBytes: s.usage.Of(s.opts.Dir), FreeBytes: s.space.Free(), Health: s.health(),
	}
	if at, ok := s.sweep.lowWater(); ok {
		stats.SweptThrough = archive.FromMillis(at)
	}
	return stats
}

// health says whether writes are accepted.
func (s *Store) health() *store.Health {
	h := &store.Health{Writable: true, FreeBytes: s.space.Free(), ReserveBytes: s.opts.Reserve}
	if n := s.space.Inodes(); n >= 0 {
		h.FreeInodes, h.ReserveInodes = n, disk.LeastInodes
	}
	err := s.broken()
	if err == nil {
		err = s.space.CheckReserve()
	}
	if err != nil {
		h.Writable, h.Reason = false, err.Error()
	}
	return h
}

// counts are how many sessions each manager has. They change in the same
// transaction as the sessions, so that they never have to be counted, but for
// sessions that the engine may have dropped: see loadCounts.
type counts struct {
	mu sync.Mutex
	n  map[number]int64 // protected by mu; changed by the writer alone
}

// loadCounts reads the counts. Those of a manager whose sweep was last heard of
// so long ago that the engine's backstop may have come before it are taken anew.
func (s *Store) loadCounts() error {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	s.counts.n = make(map[number]int64)
	oldest := s.opts.Now().Add(-backstop).UnixMilli()
	return s.update(func(txn *badger.Txn) error {
		for _, name := range s.managers.all() {
			n, _ := s.managers.number(name)
			var total int64
			if swept, err := readUint64(txn, numberKey(nil, keySwept, n)); err != nil {
				return err
			} else if int64(swept) <= oldest {
				total = countPrefix(txn, numberKey(nil, keyCreated, n))
				if err := txn.Set(numberKey(nil, keyCount, n), uint64Value(total)); err != nil {
					return err
				}
			} else {
				stored, err := readUint64(txn, numberKey(nil, keyCount, n))
				if err != nil {
					return err
				}
				total = int64(stored)
			}
			s.counts.n[n] = total
		}
		return nil
	})
}

// total returns how many sessions there are.
func (c *counts) total() (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, sessions := range c.n {
		n += sessions
	}
	return n
}

func countPrefix(txn *badger.Txn, prefix []byte) (n int64) {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		n++
	}
	return n
}

// count notes that a manager has more or fewer sessions.
func (b *batch) count(n number, by int64) { setIn(&b.sessions, n, b.sessions[n]+by) }

// writeCounts stages the counts that have changed.
func (b *batch) writeCounts() error {
	for n, by := range b.sessions {
		if by == 0 {
			continue
		}
		if err := b.set(numberKey(nil, keyCount, n), uint64Value(b.s.counts.of(n)+by), 0); err != nil {
			return err
		}
	}
	return nil
}

func (c *counts) of(n number) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[n]
}

func (c *counts) add(by map[number]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, by := range by {
		c.n[n] += by
	}
}

// Counts implements store.Counter.
func (s *Store) Counts(ctx context.Context) ([]store.Count, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	names := s.managers.all()
	all := make([]store.Count, 0, len(names))
	for _, name := range names {
		n, _ := s.managers.number(name)
		all = append(all, store.Count{Manager: name, Sessions: max(0, s.counts.of(n))})
	}
	return all, nil
}

// readUint64 returns the number under a key, or zero if there is none.
func readUint64(txn *badger.Txn, key []byte) (n uint64, err error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	err = item.Value(func(b []byte) error {
		if len(b) != 8 {
			return fmt.Errorf("the value of key %q is damaged: %s", key[:1], restore)
		}
		n = binary.BigEndian.Uint64(b)
		return nil
	})
	return n, err
}

func uint64Value(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
