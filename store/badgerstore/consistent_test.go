package badgerstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
)

// consistent checks that all keys of the layout belong together, and that what
// is kept in memory of the whole says the same.
func consistent(t testing.TB, s *Store) {
	t.Helper()
	want, got, counts := map[string]bool{}, map[string]bool{}, map[number]int64{}
	left := map[uint64]int{}
	waiting, dead := map[number]int{}, map[number]int{}
	notices := map[uint64]bool{}
	err := s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			key := it.Item().KeyCopy(nil)
			switch key[0] {
			case keySession:
				n, id := number(key[1:5]), store.ID(key[5:])
				e, err := s.readIn(txn, n, store.Key{Manager: s.managers.name(n), ID: id})
				if err != nil {
					return fmt.Errorf("record %x: %w", key, err)
				}
				counts[n]++
				want[string(expiryKey(e.due, n, id))] = true
				want[string(createdKey(e.rec.Created, n, id))] = true
				if e.rec.Principal != "" {
					want[string(principalKey(e.rec.Principal, e.rec.Created, n, id))] = true
				}
				if e.due > dueOf(e.rec.Deadline()) {
					return fmt.Errorf("%x is filed at %d, and ends at %v", key, e.due, e.rec.Deadline())
				}
				if first := s.sweep.first(n); e.due < first {
					return fmt.Errorf("%x is filed at %d, before the cursor at %d", key, e.due, first)
				}
				if at, err := readUint64(txn, numberKey(nil, keySwept, n)); err != nil || e.due < int64(at) {
					return fmt.Errorf("%x is filed at %d, before the cursor on disk at %d, %w", key, e.due, at, err)
				}
			case keyExpiry, keyCreated, keyPrincipal:
				got[string(key)] = true
			case keyAccess:
				if _, err := txn.Get(append([]byte{keySession}, key[1:]...)); err != nil {
					return fmt.Errorf("access %x: %w", key, err)
				}
			case keyNotice:
				notices[binary.BigEndian.Uint64(key[1:])] = true
			case keyDelivery:
				a, err := readAttempts(txn, key)
				if err != nil {
					return fmt.Errorf("delivery %x: %w", key, err)
				}
				left[binary.BigEndian.Uint64(key[5:])]++
				if a.dead {
					dead[number(key[1:5])]++
				} else {
					waiting[number(key[1:5])]++
				}
			}
		}
		for _, name := range s.managers.all() {
			n, _ := s.managers.number(name)
			stored, err := readUint64(txn, numberKey(nil, keyCount, n))
			if err != nil || int64(stored) != counts[n] || s.counts.of(n) != counts[n] {
				return fmt.Errorf("%s has %d sessions, counted are %d on disk and %d in memory (%w)", name, counts[n], stored, s.counts.of(n), err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(want, got) {
		t.Fatalf("the indexes have\n%q\nand should have\n%q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	o := &s.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	for seq, n := range left {
		if !notices[seq] || o.posts[seq] == nil || len(o.posts[seq].letters) != n {
			t.Fatalf("notice %d has %d deliveries, is there: %v; in memory: %+v", seq, n, notices[seq], o.posts[seq])
		}
	}
	if len(notices) != len(left) || len(o.posts) != len(left) {
		t.Fatalf("%d notices, %d in memory, %d with deliveries", len(notices), len(o.posts), len(left))
	}
	for n, m := range o.mailboxes {
		if m.waiting != waiting[n] || m.dead != dead[n] {
			t.Fatalf("%s: %d wait and %d are dead in memory, %d and %d on disk", s.listeners.name(n), m.waiting, m.dead, waiting[n], dead[n])
		}
		if err := ordered(m); err != nil {
			t.Fatalf("%s: %v", s.listeners.name(n), err)
		}
	}
}

// ordered checks a mailbox.
func ordered(m *mailbox) error {
	n := 0
	for who, q := range m.queues {
		for i, l := range q.letters {
			if l.dead || l.post.session != who || i > 0 && q.letters[i-1].compare(l) >= 0 {
				return fmt.Errorf("the queue of %x is out of order at %d", who.id, i)
			}
		}
		n += len(q.letters)
		if q.heap != &m.ready && q.heap != &m.deferred || q.heap.queues[q.index] != q {
			return fmt.Errorf("the queue of %x is not where it says", who.id)
		}
	}
	if n != m.waiting || len(m.ready.queues)+len(m.deferred.queues) != len(m.queues) {
		return errors.New("the numbers do not fit")
	}
	return nil
}

// checking checks a store whenever it is closed.
type checking struct {
	*Store
	t testing.TB
}

func (c checking) Close() error {
	if c.uses.Load().n.Load() >= 0 {
		consistent(c.t, c.Store)
	}
	return c.Store.Close()
}
