package badgerstore

import (
	"encoding/binary"
	"hash/maphash"
	"maps"
	"math"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// outboxIndex is what memory holds of the outbox. Its size depends on how many
// listeners there are, not on how much waits for them. It changes after the
// batch that changed the disk.
type outboxIndex struct {
	mu     sync.Mutex
	of     map[number]*listenerIndex // protected by mu
	limits map[string]int            // protected by mu; by listener name

	next     uint64 // the next seq to be given; the writer's alone
	reserved uint64 // up to here, excluding, they may be given; the writer's alone
}

// listenerIndex is what memory holds of one listener's deliveries.
type listenerIndex struct {
	reading sync.Mutex // one reader at a time moves the marks

	// Protected by outboxIndex.mu:
	waiting, dead int
	overflowed    int64            // deliveries that were dead at once, since the store was opened
	isFull        bool             // a warning says so
	queues        *[buckets]uint32 // how many wait of the sessions of each bucket
	fresh         mark             // seq of the first delivery that was not tried yet
	retries       mark             // when the first delivery is due that was tried
	oldest        mark             // seq of the first delivery that waits
}

// buckets is how many counters there are for the sessions of one listener: an
// empty one says, without a look at the disk, that nothing of a session waits.
const buckets = 1 << 14

var bucketSeed = maphash.MakeSeed()

func bucketOf(s sessionRef) int {
	return int(maphash.Comparable(bucketSeed, s) % buckets)
}

// mark is a place in an index before which nothing stands. A scan that begins
// there does not go through what was removed before it.
type mark struct {
	at  uint64
	low uint64 // what was added since the scan began; math.MaxUint64 if nothing was
}

// begin returns where a scan starts. It comes before the transaction that is
// scanned: what is committed after that counts as added since.
func (m *mark) begin() uint64 {
	m.at, m.low = min(m.at, m.low), math.MaxUint64
	return m.at
}

// end takes the first place that the scan has found, math.MaxUint64 for none.
func (m *mark) end(first uint64) { m.at = first }

func (m *mark) added(at uint64) { m.low = min(m.low, at) }

// scanStart is where a scan of what is due begins.
type scanStart struct{ fresh, retries uint64 }

func (o *outboxIndex) beginScan(l *listenerIndex) scanStart {
	o.mu.Lock()
	defer o.mu.Unlock()
	return scanStart{l.fresh.begin(), l.retries.begin()}
}

// listener returns the index of a listener, or nil if nothing was filed for it.
func (o *outboxIndex) listener(n number) *listenerIndex {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.of[n]
}

// add returns the index of a listener, which is made if need be. Callers hold mu.
func (o *outboxIndex) add(n number) *listenerIndex {
	l := o.of[n]
	if l == nil {
		l = &listenerIndex{queues: new([buckets]uint32)}
		o.of[n] = l
	}
	return l
}

// waits reports whether deliveries of the session may wait for the listener.
func (o *outboxIndex) waits(q queueRef) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.of[q.listener]
	return l != nil && l.queues[bucketOf(q.session)] > 0
}

// room returns how many more deliveries may wait for a listener.
func (o *outboxIndex) room(name string, n number) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	limit, ok := o.limits[name]
	if !ok {
		return math.MaxInt
	}
	if l := o.of[n]; l != nil {
		limit -= l.waiting
	}
	return limit
}

// wrote follows a committed batch. It returns the listeners that are to be
// woken, and those for which as many deliveries have begun to wait as may.
func (o *outboxIndex) wrote(d *outboxDelta, names *interner) (woken, full []string) {
	names.add(d.listeners)
	if d.reserved > 0 {
		o.reserved = d.reserved
	}
	if len(d.of) == 0 {
		return nil, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for n, c := range d.of {
		l := o.add(n)
		l.waiting += c.waiting
		l.dead += c.dead
		l.overflowed += int64(c.overflowed)
		l.fresh.added(c.fresh)
		l.retries.added(c.retry)
		l.oldest.added(c.oldest)
		name := names.name(n)
		if c.wakes {
			woken = append(woken, name)
		}
		switch {
		case c.overflowed > 0 && !l.isFull:
			l.isFull = true
			full = append(full, name)
		case l.waiting <= o.limits[name]/2: // not at each turn
			l.isFull = false
		}
	}
	for q, n := range d.queued {
		o.add(q.listener).queues[bucketOf(q.session)] += uint32(n) // it wraps where n is negative
	}
	return woken, full
}

// loadOutbox counts what waits and what is dead. It wakes all listeners: a
// write whose outcome was not known may have been for them.
func (s *Store) loadOutbox() error {
	defer s.wakeups.WakeAll()
	o := &s.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	overflowed := make(map[number]int64)
	for n, l := range o.of {
		overflowed[n] = l.overflowed
	}
	o.of = make(map[number]*listenerIndex)
	for n, count := range overflowed {
		o.add(n).overflowed = count
	}
	return s.view(func(txn *badger.Txn) error {
		given, err := readUint64(txn, []byte{keySequence})
		if err != nil {
			return err
		}
		o.next = max(o.next, given, 1)
		o.reserved = given
		eachKey(txn, []byte{keyQueue}, func(key []byte) bool {
			l, session := o.add(number(key[1:5])), sessionRef{number(key[5:9]), [16]byte(key[9:25])}
			l.waiting++
			l.queues[bucketOf(session)]++
			return true
		})
		eachKey(txn, []byte{keyDead}, func(key []byte) bool {
			o.add(number(key[9:13])).dead++
			return true
		})
		return nil
	})
}

// eachKey visits the keys that begin with a prefix, from a key on if one is
// given, until visit returns false. The key is good until then.
func eachKey(txn *badger.Txn, prefix []byte, visit func(key []byte) bool, from ...[]byte) {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	if len(from) > 0 {
		it.Seek(from[0])
	} else {
		it.Rewind()
	}
	for ; it.Valid() && visit(it.Item().Key()); it.Next() {
	}
}

// LimitPending implements store.Outbox.
func (s *Store) LimitPending(listener string, n int) {
	o := &s.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	limits := maps.Clone(o.limits)
	if delete(limits, listener); n > 0 {
		setIn(&limits, listener, n)
	}
	o.limits = limits
}

// seqOf returns the seq that a key ends with.
func seqOf(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }
