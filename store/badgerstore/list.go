package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

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
	err = s.db.View(func(txn *badger.Txn) error {
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
			e, err := s.readIn(txn, n, key)
			if errors.Is(err, store.ErrGone) {
				continue // damaged
			}
			if err != nil {
				return err
			}
			if e, ok := s.listable(key, e, now); ok {
				page = append(page, e.rec.Info(id))
			}
		}
		return nil
	})
	if err != nil {
		return nil, last, false, fmt.Errorf("listing sessions of %s: %w: %w", manager, store.ErrUnavailable, err)
	}
	return page, last, more, nil
}

// listable returns an entry that was read in a longer transaction as it is now,
// if it lives. It may only seem dead there: a touch may have been written since.
func (s *Store) listable(key store.Key, e entry, now time.Time) (entry, bool) {
	if e = s.cache.shard(key).pendingAccess(key, e); e.rec.Alive(now) {
		return e, true
	}
	e, err := s.load(key)
	return e, err == nil
}

// pendingAccess returns the entry with the access time that is not written yet.
func (s *shard) pendingAccess(key store.Key, e entry) entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pending[key]; p != nil {
		p.merge(&e.rec)
	}
	return e
}
