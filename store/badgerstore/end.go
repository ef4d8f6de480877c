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
func (b *batch) delete(key store.Key, end store.End) error {
	if b.s.restoring.Load() { // what is told of it would get a seq of the backup's
		return fmt.Errorf("ending session %s: a backup is being restored: %w", key.ID, store.ErrUnavailable)
	}
	current, alive, err := b.live(key)
	if err != nil || !alive {
		return err
	}
	if err := b.room(endCost(&current.rec, end.Listeners)); err != nil {
		return err
	}
	return b.end(key, current, end)
}

// end stages the removal of a record and all that is filed with it. What its
// listeners are to be told takes its last data along.
func (b *batch) end(key store.Key, e *entry, end store.End) error {
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
	if err := b.file(key, store.Event{Kind: store.EventEnded, Listeners: end.Listeners}, end.Reason, &e.rec); err != nil {
		return err
	}
	b.count(n, -1)
	b.overlay[key] = nil
	b.staged++
	b.ended = append(b.ended, store.Ended{Key: key, Reason: end.Reason, Principal: e.rec.Principal})
	return nil
}

// endCost is at most what an end takes of a transaction.
func endCost(r *store.Record, listeners []string) int {
	return 1024 + eventCost(r, store.Event{Kind: store.EventEnded, Listeners: listeners})
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
		return b.room(need)
	}
	others, err := b.sessionsOf(key, w.Principal)
	if err != nil {
		return err
	}
	n := len(others) + 1 - w.Limit.Sessions
	switch {
	case n <= 0:
		return b.room(need)
	case !w.Limit.Evict:
		return store.ErrLimit
	}
	slices.SortFunc(others, func(x, y session) int {
		return cmp.Or(x.rec.Created.Compare(y.rec.Created), bytes.Compare(x.key.ID[:], y.key.ID[:]))
	})
	end := store.End{Reason: store.Evicted, Listeners: w.EndListeners}
	all := need
	for _, o := range others[:n] {
		all += endCost(&o.rec, end.Listeners)
	}
	if b.room(all) != nil && b.staged > 0 {
		return errAgain // a batch of its own may take all
	}
	for _, o := range others[:n] {
		if err := b.room(endCost(&o.rec, end.Listeners)); err != nil {
			return err
		}
		if err := b.end(o.key, o.entry, end); err != nil {
			return err
		}
	}
	return b.room(need)
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
