package badgerstore

import (
	"errors"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
)

// batch is one transaction of the writer, and what it knows of the records
// that it changes: later operations of the batch see the earlier ones.
type batch struct {
	s         *Store
	txn       *badger.Txn
	overlay   map[store.Key]*entry // nil: deleted
	managers  map[string]number    // new ones
	sessions  map[number]int64     // by how much the counts of managers change
	swept     map[number]int64     // watermarks of the sweep that are written
	filed     map[number]int64     // the earliest place where something was filed
	outbox    outboxDelta
	ended     []store.Ended
	committed func() // called after the commit, unless it is nil
	exclusive bool   // nothing else may come into the batch
	staged    int    // operations that changed something
	bytes     int    // about what the transaction holds
	keys      int    // entries of it
	cleared   int    // of these, what clear has staged: it stands whatever becomes of the operation
}

func newBatch(s *Store) *batch {
	return &batch{s: s, txn: s.db.NewTransaction(true), overlay: make(map[store.Key]*entry)}
}

// drop ends the transaction of a batch, of which no more is used.
func (b *batch) drop() {
	defer func() { _ = recover() }() // of an engine that has failed
	b.txn.Discard()
}

// errBatchFull is the answer of an operation that wants to run once more, in a
// transaction of its own: this one has no room for it, or for the rest of it.
var errBatchFull = errors.New("not enough room in this batch")

// entryOverhead is what the engine adds to a key and a value.
const entryOverhead = 12

// reserveBytes returns errBatchFull if the transaction cannot take so much more.
func (b *batch) reserveBytes(bytes int) error {
	if int64(b.bytes+bytes) > b.s.writer.hardBytes || b.keys > maxBatchKeys {
		return errBatchFull
	}
	return nil
}

// full reports whether an operation of many steps should go on in the next batch.
func (b *batch) full() bool { return b.exclusive || b.bytes >= maxBatchBytes || b.keys >= maxBatchKeys }

// current returns the entry as the batch has it so far, dead or alive, or nil.
func (b *batch) current(key store.Key) (*entry, error) {
	if e, ok := b.overlay[key]; ok {
		return e, nil
	}
	shard := b.s.cache.shard(key)
	e, ok, changes := shard.get(key)
	if !ok {
		var err error
		e, err = b.s.read(key)
		if errors.Is(err, errDamaged) {
			return nil, b.clear(key)
		}
		if errors.Is(err, store.ErrGone) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		e = shard.install(key, e, changes)
	}
	return &e, nil
}

// clear removes what is left of a damaged record, so that it is not counted
// for ever. Its places in the indexes are not known: they do no harm, and
// the sweep and the backstop remove them.
func (b *batch) clear(key store.Key) error {
	before := b.keys
	defer func() { b.cleared += b.keys - before }()
	n, err := b.number(key.Manager)
	if err != nil {
		return err
	}
	for _, raw := range [...][]byte{sessionKey(n, key.ID), accessKey(n, key.ID)} {
		if err := b.remove(raw); err != nil {
			return err
		}
	}
	b.count(n, -1)
	b.overlay[key] = nil
	b.staged++
	return nil
}

// live is current without the dead.
func (b *batch) live(key store.Key) (e *entry, alive bool, err error) {
	e, err = b.current(key)
	return e, e != nil && e.rec.Alive(b.s.opts.Now()), err
}

func (b *batch) set(key, value []byte, ttl uint64) error {
	b.bytes += len(key) + len(value) + entryOverhead
	b.keys++
	if err := b.s.opts.staging(key); err != nil {
		return err
	}
	return b.txn.SetEntry(&badger.Entry{Key: key, Value: value, ExpiresAt: ttl})
}

func (b *batch) remove(key []byte) error {
	b.bytes += len(key) + entryOverhead
	b.keys++
	if err := b.s.opts.staging(key); err != nil {
		return err
	}
	return b.txn.Delete(key)
}

// number returns the manager's number, and stages a new one. Nothing of a new
// manager can be due before now, so that its sweep begins here.
func (b *batch) number(name string) (number, error) {
	if n, ok := b.s.managers.number(name); ok {
		return n, nil
	}
	if n, ok := b.managers[name]; ok {
		return n, nil
	}
	n := b.s.managers.next()
	if err := b.set(nameKey(keyManager, name), n[:], 0); err != nil {
		return number{}, err
	}
	setIn(&b.managers, name, n)
	return n, b.writeWatermark(n, b.s.opts.Now().UnixMilli())
}

// commit makes the batch durable and visible, or nothing of it.
func (b *batch) commit() error {
	if b.staged == 0 {
		return nil
	}
	err := b.writeCounts()
	if err == nil {
		err = b.s.space.Admit(b.bytes, b.keys)
	}
	if err == nil {
		for key := range b.overlay {
			b.s.cache.shard(key).writes(key)
		}
		err = b.s.engage(b.txn.Commit)
		b.s.space.Wrote(b.bytes, b.keys)
	}
	if err != nil {
		for key := range b.overlay {
			b.s.cache.shard(key).forget(key)
		}
		return commitError(b.s.opts.Dir, err)
	}
	b.s.managers.add(b.managers)
	b.s.counts.add(b.sessions)
	b.s.sweep.wrote(b.filed, b.swept)
	woken, full := b.s.outbox.wrote(&b.outbox, b.s.listeners)
	for _, listener := range full {
		b.s.log.Warn("as many events wait for a session listener as may: new ones are dead letters at once; mend the listener, then retry them, or raise its max_pending",
			zap.String("listener", listener))
	}
	for key, e := range b.overlay {
		b.s.cache.shard(key).wrote(key, e)
	}
	if b.committed != nil {
		b.committed()
	}
	b.s.wakeups.Wake(woken...)
	for _, e := range b.ended {
		if e.Reason == store.Idle || e.Reason == store.Absolute {
			b.s.swept.Add(1)
		}
		if b.s.observe != nil {
			b.s.observe(e)
		}
	}
	return nil
}

// setIn sets a value in a map that is made when it is needed.
func setIn[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = make(map[K]V)
	}
	(*m)[key] = value
}
