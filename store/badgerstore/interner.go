package badgerstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// interner interns names: those of managers, or those of listeners. Numbers are
// given by the writer, and known to readers when their batch is committed.
type interner struct {
	kind    byte
	mu      sync.RWMutex
	numbers map[string]number // protected by mu
	names   map[number]string // protected by mu
	last    uint32            // the highest number that was ever given; the writer's alone
}

func newInterner(kind byte) *interner {
	return &interner{kind: kind, numbers: make(map[string]number), names: make(map[number]string)}
}

// load reads the names on disk.
func (m *interner) load(view func(func(*badger.Txn) error) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{m.kind}, PrefetchValues: true, PrefetchSize: 100})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			item := it.Item()
			name := string(item.Key()[1:])
			if err := item.Value(func(b []byte) error {
				if len(b) != len(number{}) {
					return fmt.Errorf("%q has a damaged number: %s", name, restore)
				}
				m.numbers[name], m.names[number(b)] = number(b), name
				m.last = max(m.last, binary.BigEndian.Uint32(b))
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the names of managers and listeners: %w", err)
	}
	return nil
}

// number returns the number of a name, if it has one.
func (m *interner) number(name string) (number, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, ok := m.numbers[name]
	return n, ok
}

// name returns what a number stands for.
func (m *interner) name(n number) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.names[n]
}

// all returns the names in order.
func (m *interner) all() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Sorted(maps.Keys(m.numbers))
}

// numbersOf returns the numbers that names have, in order.
func (m *interner) numbersOf() []number {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.SortedFunc(maps.Keys(m.names), func(a, b number) int { return bytes.Compare(a[:], b[:]) })
}

// next returns the number for a new name. It is given once, even if its
// batch fails: a commit that failed may be on disk, and two managers with one
// number would share their sessions.
func (m *interner) next() (n number) {
	m.last++
	binary.BigEndian.PutUint32(n[:], m.last)
	return n
}

func (m *interner) add(batch map[string]number) {
	if len(batch) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(m.numbers, batch)
	for name, n := range batch {
		m.names[n] = name
	}
}
