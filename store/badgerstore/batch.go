package badgerstore

import (
	"errors"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
)

// batch is one transaction of the writer, and what it knows of the records
// that it changes: later operations of the batch see the earlier ones.
type batch struct {
	s        *Store
	txn      *badger.Txn
	overlay  map[store.Key]*entry // nil: deleted
	managers map[string]number    // new ones
	staged   int                  // operations that changed something
	bytes    int                  // about what the transaction holds
}

func newBatch(s *Store) *batch {
	return &batch{
		s: s, txn: s.db.NewTransaction(true),
		overlay: make(map[store.Key]*entry), managers: make(map[string]number),
	}
}

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

// live is current without the dead.
func (b *batch) live(key store.Key) (e *entry, alive bool, err error) {
	e, err = b.current(key)
	return e, e != nil && e.rec.Alive(b.s.opts.Now()), err
}

// save decides about a conditional save.
func (b *batch) save(key store.Key, rec store.Record, cond store.Condition) error {
	current, alive, err := b.live(key)
	if err != nil {
		return err
	}
	switch {
	case alive && current.rec.Version == rec.Version:
		return nil // this very save, repeated
	case cond.IsCreate() && alive:
		return store.ErrConflict
	case cond.IsCreate():
	case !alive || current.rec.Incarnation != rec.Incarnation:
		return store.ErrGone
	case current.rec.Version != cond.Version():
		return store.ErrConflict
	}
	if alive && current.rec.Accessed.After(rec.Accessed) {
		rec.Accessed = current.rec.Accessed
	}
	return b.put(key, current, rec)
}

// update runs a change on the live record.
func (b *batch) update(key store.Key, change func(store.Record) (store.Record, error)) (store.Record, error) {
	current, alive, err := b.live(key)
	if err != nil {
		return store.Record{}, err
	}
	if !alive {
		return store.Record{}, store.ErrGone
	}
	rec, err := change(current.rec)
	if err != nil {
		return store.Record{}, err
	}
	if current.rec.Accessed.After(rec.Accessed) {
		rec.Accessed = current.rec.Accessed
	}
	return rec, b.put(key, current, rec)
}

// put stages a record, and where it is filed for expiry. The place moves only
// to an earlier end: a session that lives longer than it is filed is filed
// anew by whoever finds it there.
func (b *batch) put(key store.Key, old *entry, rec store.Record) error {
	n, err := b.number(key.Manager)
	if err != nil {
		return err
	}
	rec = truncated(rec)
	e := &entry{rec: rec, due: dueOf(rec.Deadline())}
	ttl := ttlOf(rec.Absolute)
	if old != nil && old.due <= e.due && old.rec.Incarnation == rec.Incarnation {
		e.due = old.due
	}
	filed := old != nil && old.due == e.due
	if old != nil && !filed {
		if err := b.remove(expiryKey(old.due, n, key.ID)); err != nil {
			return err
		}
	}
	if !filed || !old.rec.Absolute.Equal(rec.Absolute) { // the backstop moves with the absolute end
		if err := b.set(expiryKey(e.due, n, key.ID), nil, ttl); err != nil {
			return err
		}
	}
	raw := sessionKey(n, key.ID)
	if err := b.set(raw, e.encode(raw), ttl); err != nil {
		return err
	}
	b.overlay[key] = e
	b.staged++
	return nil
}

// delete stages the removal of a record and all that is filed with it.
func (b *batch) delete(key store.Key) error {
	current, err := b.current(key)
	if err != nil || current == nil {
		return err
	}
	n, err := b.number(key.Manager)
	if err != nil {
		return err
	}
	for _, raw := range [...][]byte{sessionKey(n, key.ID), accessKey(n, key.ID), expiryKey(current.due, n, key.ID)} {
		if err := b.remove(raw); err != nil {
			return err
		}
	}
	b.overlay[key] = nil
	b.staged++
	return nil
}

// touch stages access times of the records that are still there.
func (b *batch) touch(touches map[store.Key]touched) error {
	for key, t := range touches {
		current, err := b.current(key)
		if err != nil {
			return err
		}
		if current == nil || current.rec.Incarnation != t.incarnation {
			continue
		}
		n, err := b.number(key.Manager)
		if err != nil {
			return err
		}
		if err := b.set(accessKey(n, key.ID), t.encode(), ttlOf(t.absolute)); err != nil {
			return err
		}
		b.staged++
	}
	return nil
}

func (b *batch) set(key, value []byte, ttl uint64) error {
	b.bytes += len(key) + len(value)
	return b.txn.SetEntry(&badger.Entry{Key: key, Value: value, ExpiresAt: ttl})
}

func (b *batch) remove(key []byte) error {
	b.bytes += len(key)
	return b.txn.Delete(key)
}

// number returns the manager's number, and stages a new one.
func (b *batch) number(name string) (number, error) {
	if n, ok := b.s.managers.number(name); ok {
		return n, nil
	}
	if n, ok := b.managers[name]; ok {
		return n, nil
	}
	n := b.s.managers.next()
	if err := b.set(managerKey(name), n[:], 0); err != nil {
		return number{}, err
	}
	b.managers[name] = n
	return n, nil
}

// commit makes the batch durable and visible, or nothing of it.
func (b *batch) commit() error {
	if b.staged == 0 {
		return nil
	}
	if err := b.txn.Commit(); err != nil {
		for key := range b.overlay {
			b.s.cache.shard(key).forget(key)
		}
		return commitError(b.s.opts.Dir, err)
	}
	b.s.managers.add(b.managers)
	for key, e := range b.overlay {
		b.s.cache.shard(key).wrote(key, e)
	}
	return nil
}

// truncated drops what is finer than the stored milliseconds, so that memory
// and disk say the same.
func truncated(r store.Record) store.Record {
	r.Created, r.Written, r.Accessed = moment(millis(r.Created)), moment(millis(r.Written)), moment(millis(r.Accessed))
	r.Absolute, r.PreviousUntil = moment(millis(r.Absolute)), moment(millis(r.PreviousUntil))
	r.Idle = r.Idle.Truncate(1e6)
	return r
}
