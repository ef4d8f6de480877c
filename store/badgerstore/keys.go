package badgerstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// The layout. Each key begins with a letter; number is the manager's interned
// number, four bytes, so that a key is short whatever the manager's name. All
// numbers are big endian, so that keys sort as they do; times are milliseconds.
//
//	!                            → the store's id (the sentinel, see marker.go)
//	m name                       → number of a manager
//	s number id                  → record
//	a number id                  → incarnation, access time, place in x: touching moves no data
//	x number due id              → nothing: sessions in the order in which they may end
//	c number ^created id         → nothing: the one that began last first
//	p number hash ^created id    → nothing: those of one principal, by its hash
//	n number                     → how many sessions there are
//	w number                     → how far the sweep has come in x
//	l name                       → number of a listener
//	t seq                        → event: with a session's last record, a tombstone
//	k seq                        → numbers of the listeners that it was filed for
//	d number seq                 → delivery of that event, which waits, to the listener of that number
//	u number session seq         → nothing: the queue of a session's deliveries to that listener
//	y number due seq             → nothing: the first of each queue, by when it is due; 0 is at once
//	D seq number                 → delivery that is dead
//	v                            → the format of d, u, y and D; see marker.go
//	q                            → the seq below which any may have been given
//	r                            → nothing: a restore is under way, see restore.go
//
// s, x, c and, with a principal, p are there together or not at all; so are t,
// its k and its d or D, and so are d and its u.
const (
	keySentinel  = '!'
	keyManager   = 'm'
	keySession   = 's'
	keyAccess    = 'a'
	keyExpiry    = 'x'
	keyCreated   = 'c'
	keyPrincipal = 'p'
	keyCount     = 'n'
	keySwept     = 'w'
	keyListener  = 'l'
	keyEvent     = 't'
	keyRecipient = 'k'
	keyDelivery  = 'd'
	keyQueue     = 'u'
	keyDue       = 'y'
	keyDead      = 'D'
	keyOutbox    = 'v'
	keySequence  = 'q'
	keyRestoring = 'r'
)

type number [4]byte

// place is a position in an ordered index: a time, and an id.
type place struct {
	at uint64
	id store.ID
}

// placeLen is its length in a key, always at the end.
const placeLen = 8 + 16

func (p place) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, p.at)
	return append(b, p.id[:]...)
}

// placeOf returns the position that a key ends with.
func placeOf(key []byte) place {
	b := key[len(key)-placeLen:]
	return place{binary.BigEndian.Uint64(b), store.ID(b[8:])}
}

func sessionKey(n number, id store.ID) []byte { return recordKey(keySession, n, id) }
func accessKey(n number, id store.ID) []byte  { return recordKey(keyAccess, n, id) }

func recordKey(kind byte, n number, id store.ID) []byte {
	k := make([]byte, 0, 1+len(n)+len(id))
	return append(numberKey(k, kind, n), id[:]...)
}

// numberKey appends the beginning of all keys of a kind of one manager or
// listener. It is the whole key of what is kept once for each.
func numberKey(b []byte, kind byte, n number) []byte {
	return append(append(b, kind), n[:]...)
}

func expiryKey(due int64, n number, id store.ID) []byte {
	return place{uint64(due), id}.append(numberKey(make([]byte, 0, 1+len(n)+placeLen), keyExpiry, n))
}

func createdKey(created time.Time, n number, id store.ID) []byte {
	return place{descending(created), id}.append(numberKey(make([]byte, 0, 1+len(n)+placeLen), keyCreated, n))
}

func principalKey(principal string, created time.Time, n number, id store.ID) []byte {
	return place{descending(created), id}.append(principalPrefix(principal, n))
}

// principalPrefix begins the keys of all sessions of a principal. Two of them
// may share it, so the record decides.
func principalPrefix(principal string, n number) []byte {
	sum := sha256.Sum256([]byte(principal))
	return append(numberKey(make([]byte, 0, 1+len(n)+16+placeLen), keyPrincipal, n), sum[:16]...)
}

// descending is a time so that later ones sort first.
func descending(t time.Time) uint64 { return math.MaxInt64 - uint64(archive.Millis(t)) }

func nameKey(kind byte, name string) []byte { return append([]byte{kind}, name...) }

func eventKey(seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyEvent}, seq)
}

func recipientsKey(seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyRecipient}, seq)
}

func deliveryKey(listener number, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(numberKey(make([]byte, 0, 13), keyDelivery, listener), seq)
}

// queuePrefix begins the keys of one session's deliveries to a listener.
func queuePrefix(q queueRef) []byte {
	b := numberKey(make([]byte, 0, 33), keyQueue, q.listener)
	return append(append(b, q.session.n[:]...), q.session.id[:]...)
}

func queueKey(q queueRef, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(queuePrefix(q), seq)
}

func dueKey(listener number, due int64, seq uint64) []byte {
	b := numberKey(make([]byte, 0, 21), keyDue, listener)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, uint64(due)), seq)
}

func deadKey(seq uint64, listener number) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{keyDead}, seq), listener[:]...)
}

// dueOf returns where a deadline is filed: at the millisecond. Nothing is won
// by coarser steps. A touch or a save never moves an entry to a later place,
// whatever the step: the sweep does, about once in an idle timeout.
func dueOf(deadline time.Time) int64 { return max(0, deadline.UnixMilli()) }

// backstop is how long after the absolute end the engine itself drops a
// record that no sweep has met. It tells no listener and is counted nowhere,
// hence so late. What a session leaves for its listeners has none.
const backstop = 30 * 24 * time.Hour

// ttlOf is never in the past: what has ended long ago may come out of a backup.
func (s *Store) ttlOf(absolute time.Time) uint64 {
	if now := s.opts.Now(); absolute.Before(now) {
		absolute = now
	}
	return uint64(absolute.Add(s.opts.backstop).Unix())
}

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
