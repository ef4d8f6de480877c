package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
)

// pageSize is how many records a listing reads at a time. Between pages no
// transaction is open: a slow reader holds nothing back.
const pageSize = 256

// List implements store.Store.
func (s *Store) List(ctx context.Context, manager string, after store.ID) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		first := after == store.ID{}
		for {
			page, last, more, err := s.page(ctx, manager, after, first)
			if err != nil {
				yield(store.Info{}, err)
				return
			}
			for _, info := range page {
				if !yield(info, nil) {
					return
				}
			}
			if !more {
				return
			}
			after, first = last, false
		}
	}
}

// page reads the live records behind an id, the last id looked at, and
// whether there may be more.
func (s *Store) page(ctx context.Context, manager string, after store.ID, first bool) (page []store.Info, last store.ID, more bool, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, last, false, err
	}
	defer s.leave()
	n, ok := s.managers.number(manager)
	if !ok {
		return nil, last, false, nil
	}
	now := s.opts.Now()
	prefix := append([]byte{keySession}, n[:]...)
	var found []listed
	err = s.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 64})
		defer it.Close()
		seen := 0
		for it.Seek(sessionKey(n, after)); it.Valid(); it.Next() {
			id := store.ID(it.Item().Key()[len(prefix):])
			if id == after && !first {
				continue
			}
			if seen++; seen > pageSize {
				more = true
				return nil
			}
			last = id
			key := store.Key{Manager: manager, ID: id}
			e, err := s.recordIn(txn, n, key)
			if errors.Is(err, store.ErrGone) {
				continue // damaged
			}
			if err != nil {
				return err
			}
			found = append(found, listed{key: key, n: n, entry: e})
		}
		return nil
	})
	if err == nil {
		err = s.refreshAccess(found)
	}
	if err != nil {
		return nil, last, false, fmt.Errorf("listing sessions of %s: %w: %w", manager, store.ErrUnavailable, err)
	}
	for i := range found {
		if f := &found[i]; f.rec.Alive(now) {
			page = append(page, f.rec.Info(f.key.ID))
		}
	}
	return page, last, more, nil
}

// listed is a session that was found in a transaction on many, without its
// access time.
type listed struct {
	key store.Key
	n   number
	entry
	place // in the index that it was found by, if it was
}

// refreshAccess adds the access times, as they are now. The transaction that the
// records were read in is too old for that: a touch may have been written since
// it began, and not be pending any more.
func (s *Store) refreshAccess(all []listed) error {
	for i := range all {
		l := &all[i]
		shard := s.cache.shard(l.key)
		shard.pendingTouch(l.key).merge(&l.rec)
	}
	return s.view(func(txn *badger.Txn) error {
		for i := range all {
			l := &all[i]
			if err := accessIn(txn, l.n, l.key.ID, &l.entry); err != nil {
				return err
			}
		}
		return nil
	})
}
