package badgerstore

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// consistent checks that all keys of the layout belong together, and that what
// is kept in memory of the whole says the same.
func consistent(t testing.TB, s *Store) {
	t.Helper()
	want, got, counts := map[string]bool{}, map[string]bool{}, map[number]int64{}
	left := map[uint64]map[number]bool{}
	waiting, dead := map[number]int{}, map[number]int{}
	due, firsts := map[string]bool{}, map[queueRef]dueRef{}
	queued, queues := map[string]bool{}, map[string]bool{}
	recipients := map[uint64][]number{}
	events := map[uint64]bool{}
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
					return fmt.Errorf("%x is filed at %d, before the watermark at %d", key, e.due, first)
				}
				if at, err := readUint64(txn, numberKey(nil, keySwept, n)); err != nil || e.due < int64(at) {
					return fmt.Errorf("%x is filed at %d, before the watermark on disk at %d, %w", key, e.due, at, err)
				}
			case keyExpiry, keyCreated, keyPrincipal:
				got[string(key)] = true
			case keyAccess:
				if _, err := txn.Get(append([]byte{keySession}, key[1:]...)); err != nil {
					return fmt.Errorf("access %x: %w", key, err)
				}
			case keyEvent:
				events[seqOf(key)] = true
			case keyRecipient:
				all, err := readRecipients(txn, seqOf(key))
				if err != nil {
					return err
				}
				recipients[seqOf(key)] = all
			case keyDelivery, keyDead:
				state, err := readDelivery(txn, key)
				if err != nil {
					return fmt.Errorf("delivery %x: %w", key, err)
				}
				if state.Dead != (key[0] == keyDead) {
					return fmt.Errorf("delivery %x is dead: %v", key, state.Dead)
				}
				n, seq := number(key[1:5]), seqOf(key)
				if state.Dead {
					n, seq = number(key[9:]), seqOf(key[:9])
					dead[n]++
				} else {
					q := queueRef{n, state.session}
					if waiting[n]++; firsts[q] == (dueRef{}) {
						firsts[q] = dueRef{archive.Millis(state.Next), seq} // they come in order
					}
					queues[string(queueKey(q, seq))] = true
				}
				if left[seq] == nil {
					left[seq] = map[number]bool{}
				}
				if left[seq][n] {
					return fmt.Errorf("delivery %x is there twice", key)
				}
				left[seq][n] = true
			case keyQueue:
				queued[string(key)] = true
			case keyDue:
				due[string(key)] = true
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
	heads := map[string]bool{}
	for q, ref := range firsts {
		heads[string(dueKey(q.listener, ref.due, ref.seq))] = true
	}
	if !maps.Equal(due, heads) {
		t.Fatalf("due are\n%q\nand should be\n%q", slices.Sorted(maps.Keys(due)), slices.Sorted(maps.Keys(heads)))
	}
	if !maps.Equal(queued, queues) {
		t.Fatalf("the queues have\n%q\nand should have\n%q", slices.Sorted(maps.Keys(queued)), slices.Sorted(maps.Keys(queues)))
	}
	for seq, of := range left {
		if !events[seq] {
			t.Fatalf("the event of delivery %d is gone", seq)
		}
		for n := range of {
			if !slices.Contains(recipients[seq], n) {
				t.Fatalf("event %d is for %v, and there is a delivery to %v", seq, recipients[seq], n)
			}
		}
	}
	if len(events) != len(left) || len(recipients) != len(left) {
		t.Fatalf("%d events, %d lists of recipients, %d with deliveries", len(events), len(recipients), len(left))
	}
	indexMatches(t, s, waiting, dead, queued, due)
}

// indexMatches checks that memory says of the outbox what the disk does.
func indexMatches(t testing.TB, s *Store, waiting, dead map[number]int, queued, due map[string]bool) {
	t.Helper()
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	buckets := map[number]map[int]uint32{}
	for key := range queued {
		n, session := number([]byte(key[1:5])), sessionRef{number([]byte(key[5:9])), store.ID([]byte(key[9:25]))}
		if buckets[n] == nil {
			buckets[n] = map[int]uint32{}
		}
		buckets[n][bucketOf(session)]++
	}
	for n, l := range s.outbox.of {
		name := s.listeners.name(n)
		if l.waiting != waiting[n] || l.dead != dead[n] {
			t.Fatalf("%s: %d wait and %d are dead in memory, %d and %d on disk", name, l.waiting, l.dead, waiting[n], dead[n])
		}
		for i, count := range l.queues {
			if count != buckets[n][i] {
				t.Fatalf("%s: bucket %d counts %d, and %d wait", name, i, count, buckets[n][i])
			}
		}
		for key := range due {
			at, seq := seqOf([]byte(key[:13])), seqOf([]byte(key))
			if number([]byte(key[1:5])) != n {
				continue
			}
			if from := min(l.fresh.at, l.fresh.low); at == 0 && seq < from {
				t.Fatalf("%s: %d is due, and the mark stands at %d", name, seq, from)
			}
			if from := min(l.retries.at, l.retries.low); at > 0 && at < from {
				t.Fatalf("%s: %d is due at %d, and the mark stands at %d", name, seq, at, from)
			}
		}
		delete(waiting, n)
		delete(dead, n)
	}
	if len(waiting)+len(dead) > 0 {
		t.Fatalf("memory knows nothing of %v, %v", waiting, dead)
	}
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
