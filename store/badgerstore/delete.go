package badgerstore

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
)

// delete ends a session that lives.
func (b *batch) delete(key store.Key, reason store.Reason) error {
	if b.s.restoring.Load() { // what is told of it would get a seq of the backup's
		return fmt.Errorf("ending session %s: a backup is being restored: %w", key.ID, store.ErrUnavailable)
	}
	current, alive, err := b.live(key)
	if err != nil || !alive {
		return err
	}
	listeners := b.s.subscribersOf(key.Manager, store.EventEnded)
	if err := b.reserveBytes(endCost(&current.rec, listeners)); err != nil {
		return err
	}
	return b.end(key, current, reason, listeners)
}

// end stages the removal of a record and all that is filed with it. What its
// listeners are to be told takes its last data along.
func (b *batch) end(key store.Key, e *entry, reason store.Reason, listeners []string) error {
	n, err := b.number(key.Manager)
	if err != nil {
		return err
	}
	for _, raw := range [...][]byte{
		sessionKey(n, key.ID), accessKey(n, key.ID), expiryKey(e.due, n, key.ID), createdKey(e.rec.Created, n, key.ID),
	} {
		if err := b.remove(raw); err != nil {
			return err
		}
	}
	if e.rec.Principal != "" {
		if err := b.remove(principalKey(e.rec.Principal, e.rec.Created, n, key.ID)); err != nil {
			return err
		}
	}
	if err := b.file(key, store.Event{Kind: store.EventEnded}, listeners, reason, &e.rec); err != nil {
		return err
	}
	b.count(n, -1)
	b.overlay[key] = nil
	b.staged++
	b.ended = append(b.ended, store.Ended{Key: key, Reason: reason, Principal: e.rec.Principal})
	return nil
}

// endCost is at most what an end takes of a transaction.
func endCost(r *store.Record, listeners []string) int {
	return 1024 + eventCost(r, store.Event{Kind: store.EventEnded}, listeners)
}

// session is one of a principal's sessions.
type session struct {
	key store.Key
	*entry
}

// limit sees to it that the principal may have one session more, and that the
// save, which needs that much of the transaction, has room beside the ends of
// those that have to go. Where many have to, since the limit was lowered, the
// first ones may end before, in transactions of their own.
func (b *batch) limit(key store.Key, w *store.Write, need int) error {
	if w.Limit.Sessions <= 0 {
		return b.reserveBytes(need)
	}
	others, err := b.sessionsOf(key, w.Principal)
	if err != nil {
		return err
	}
	n := len(others) + 1 - w.Limit.Sessions
	switch {
	case n <= 0:
		return b.reserveBytes(need)
	case !w.Limit.Evict:
		return store.ErrLimit
	}
	slices.SortFunc(others, func(x, y session) int {
		return cmp.Or(x.rec.Created.Compare(y.rec.Created), bytes.Compare(x.key.ID[:], y.key.ID[:]))
	})
	listeners := b.s.subscribersOf(key.Manager, store.EventEnded)
	all := need
	for _, o := range others[:n] {
		all += endCost(&o.rec, listeners)
	}
	if b.reserveBytes(all) != nil && b.staged > 0 {
		return errBatchFull // a batch of its own may take all
	}
	for _, o := range others[:n] {
		if err := b.reserveBytes(endCost(&o.rec, listeners)); err != nil {
			return err
		}
		if err := b.end(o.key, o.entry, store.Evicted, listeners); err != nil {
			return err
		}
	}
	return b.reserveBytes(need)
}

// sessionsOf returns the live sessions of a principal but the one given, as
// the batch has them so far.
func (b *batch) sessionsOf(but store.Key, principal string) (all []session, err error) {
	keys := make(map[store.Key]struct{})
	for key, e := range b.overlay {
		if e != nil && key.Manager == but.Manager {
			keys[key] = struct{}{}
		}
	}
	if n, ok := b.s.managers.number(but.Manager); ok {
		prefix := principalPrefix(principal, n)
		err := b.s.view(func(txn *badger.Txn) error {
			it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
			defer it.Close()
			for it.Rewind(); it.Valid(); it.Next() {
				keys[store.Key{Manager: but.Manager, ID: placeOf(it.Item().Key()).id}] = struct{}{}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	delete(keys, but)
	for key := range keys {
		e, alive, err := b.live(key)
		if err != nil {
			return nil, err
		}
		if alive && e.rec.Principal == principal {
			all = append(all, session{key, e})
		}
	}
	return all, nil
}

// What became of a session that a sweep has looked at.
type outcome int

const (
	sweptEnded outcome = iota
	sweptAnew          // it lives on, or is not there any more
	sweptStuck         // it lives on, and stays where it is
)

// sweep decides about a session that was found due.
func (b *batch) sweep(d due, w *sweep) (outcome, error) {
	current, err := b.current(d.key)
	if err != nil {
		return 0, err
	}
	alive := current != nil && current.rec.Alive(w.at)
	if alive && w.low {
		return sweptStuck, nil
	}
	if current != nil && !alive {
		if err := b.reserveBytes(endCost(&current.rec, w.listeners[d.key.Manager])); err != nil {
			return 0, err
		}
	}
	if current == nil || current.due != d.at { // a place that is out of date
		if err := b.remove(expiryKey(d.at, d.n, d.key.ID)); err != nil {
			return 0, err
		}
		b.staged++
	}
	switch {
	case current == nil:
		return sweptAnew, nil
	case alive:
		return sweptAnew, b.refile(d, current)
	}
	return sweptEnded, b.end(d.key, current, current.rec.EndsBy(), w.listeners[d.key.Manager])
}

// refile files a session that lives on where it will end now, without its data.
func (b *batch) refile(d due, current *entry) error {
	e := *current
	e.due = dueOf(e.rec.Deadline())
	if e.due != current.due {
		if err := b.remove(expiryKey(current.due, d.n, d.key.ID)); err != nil {
			return err
		}
	}
	ttl := b.s.ttlOf(e.rec.Absolute)
	if err := b.expiry(d.n, d.key.ID, e.due, ttl); err != nil {
		return err
	}
	b.overlay[d.key] = &e
	b.staged++
	return b.set(accessKey(d.n, d.key.ID), access{e.rec.Incarnation, e.rec.Accessed}.encode(e.due), ttl)
}
