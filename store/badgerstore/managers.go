package badgerstore

import (
	"encoding/binary"
	"fmt"
	"maps"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// managers interns the managers' names. Numbers are given by the writer, and
// known to readers when their batch is committed.
type managers struct {
	mu      sync.RWMutex
	numbers map[string]number // protected by mu
	last    uint32            // the highest number that was ever given; the writer's alone
}

func loadManagers(db *badger.DB) (*managers, error) {
	m := &managers{numbers: make(map[string]number)}
	err := db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{keyManager}, PrefetchValues: true, PrefetchSize: 100})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			item := it.Item()
			name := string(item.Key()[1:])
			if err := item.Value(func(b []byte) error {
				if len(b) != len(number{}) {
					return fmt.Errorf("manager %q has a damaged number: restore the directory from a backup", name)
				}
				m.numbers[name] = number(b)
				m.last = max(m.last, binary.BigEndian.Uint32(b))
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("opening session store: reading managers: %w", err)
	}
	return m, nil
}

// number returns the manager's number, if it has one.
func (m *managers) number(name string) (number, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, ok := m.numbers[name]
	return n, ok
}

// next returns the number for a new manager. It is given once, even if its
// batch fails: a commit that failed may be on disk, and two managers with one
// number would share their sessions.
func (m *managers) next() (n number) {
	m.last++
	binary.BigEndian.PutUint32(n[:], m.last)
	return n
}

func (m *managers) add(batch map[string]number) {
	if len(batch) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(m.numbers, batch)
}
