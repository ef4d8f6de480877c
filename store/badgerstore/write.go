package badgerstore

import (
	"context"
	"fmt"

	"github.com/sessionproxy/sessionproxy/store"
)

// The largest records that are taken; a batch of one must fit a transaction.
const (
	maxData      = store.MaxData
	maxPrincipal = 1<<16 - 1
	maxManager   = 1 << 10
	maxEvents    = store.MaxData + 64<<10 // what all events of a save take, but for the data
)

// Save implements store.Store.
func (s *Store) Save(ctx context.Context, key store.Key, w store.Write, cond store.Condition) (err error) {
	defer s.awaitRepair(ctx, &err)
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if err := s.writable(key, &w); err != nil {
		return err
	}
	return s.writer.do(ctx, &op{key: key, run: func(b *batch) error {
		return b.save(key, &w, cond)
	}})
}

// Update implements store.Updater.
func (s *Store) Update(ctx context.Context, key store.Key, change func(store.Record) (store.Write, error)) (_ store.Record, err error) {
	defer s.awaitRepair(ctx, &err)
	if err := s.enter(ctx); err != nil {
		return store.Record{}, err
	}
	defer s.leave()
	if err := s.writable(key, &store.Write{}); err != nil {
		return store.Record{}, err
	}
	var saved store.Record
	err = s.writer.do(ctx, &op{key: key, run: func(b *batch) (err error) {
		rec, err := b.update(key, func(current store.Record) (store.Write, error) {
			next, err := change(current)
			if err == nil {
				err = s.writable(key, &next)
			}
			return next, err
		})
		saved = rec
		return err
	}})
	if err != nil {
		return store.Record{}, err // saved may still be written by the batch
	}
	return saved, nil
}

// Delete implements store.Store. It is done even when disk space is short:
// somebody wants to log out, and the reserve has room for it. What the
// listeners are to be told holds the data once more, and may be a lot if many
// sessions end: it is left half of the reserve.
func (s *Store) Delete(ctx context.Context, key store.Key, end store.End) (err error) {
	defer s.awaitRepair(ctx, &err)
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if len(end.Listeners) > 0 {
		if err := s.space.veryShort(); err != nil {
			return fmt.Errorf("ending session %s: %w", key.ID, err)
		}
	}
	return s.writer.do(ctx, &op{key: key, run: func(b *batch) error {
		return b.delete(key, end)
	}})
}

// writable refuses what cannot be stored, and everything when space is short.
func (s *Store) writable(key store.Key, w *store.Write) error {
	rec, events := &w.Record, 0
	for _, n := range w.Events {
		events += eventCost(rec, n)
	}
	switch {
	case events > maxEvents:
		return fmt.Errorf("saving session %s: its events take %d bytes, at most %d can be stored", key.ID, events, maxEvents)
	case len(rec.Data) > maxData:
		return fmt.Errorf("saving session %s: %d bytes of data, at most %d can be stored", key.ID, len(rec.Data), maxData)
	case len(rec.Principal) > maxPrincipal:
		return fmt.Errorf("saving session %s: the principal has %d bytes, at most %d can be stored", key.ID, len(rec.Principal), maxPrincipal)
	case len(key.Manager) > maxManager:
		return fmt.Errorf("saving session %s: the manager's name has %d bytes, at most %d can be stored", key.ID, len(key.Manager), maxManager)
	}
	return s.space.short()
}
