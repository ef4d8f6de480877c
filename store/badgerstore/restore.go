package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// Restore implements store.Archiver. The backup is copied to a file and read
// once to its end before anything is stored. While it is loaded saves and ends are
// refused, and nothing is swept or delivered; a mark in the database says so,
// and the opening after a crash begins without sessions again.
func (s *Store) Restore(ctx context.Context, r io.Reader, check store.CheckRecord) (sessions int64, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	defer func() {
		if err != nil {
			sessions, err = 0, fmt.Errorf("restoring into session store %s: %w", s.opts.Dir, err)
		}
	}()
	if err := s.view(isEmpty); err != nil {
		return 0, err
	}
	p, err := s.newSpool(ctx, r)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := s.readSpool(ctx, p, archive.Checker(check)); err != nil {
		return 0, err
	}
	if err := s.writer.do(ctx, &op{run: (*batch).beginRestore}); err != nil {
		if !errors.Is(err, store.ErrUnknown) {
			return 0, err
		}
		return 0, errors.Join(err, s.undoRestore(context.WithoutCancel(ctx)))
	}
	l := restoreBatch{s: s, ctx: ctx}
	if err = s.readSpool(ctx, p, l.add); err == nil {
		err = l.flush()
	}
	if err == nil {
		err = s.writer.do(ctx, &op{run: func(b *batch) error {
			b.staged++
			b.committed = func() {
				s.restoring.Store(false)
				s.wakeups.WakeAll()
			}
			return b.remove([]byte{keyRestoring})
		}})
	}
	if err != nil {
		return 0, errors.Join(err, s.undoRestore(context.WithoutCancel(ctx)))
	}
	return l.sessions, nil
}

// isEmpty returns store.ErrNotEmpty if there is a session, or something that
// a listener is to be told.
func isEmpty(txn *badger.Txn) error {
	for _, kind := range []byte{keySession, keyEvent, keyDelivery, keyDead} {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kind}})
		it.Rewind()
		there := it.Valid()
		it.Close()
		if there {
			return store.ErrNotEmpty
		}
	}
	return nil
}

// beginRestore sets the mark, if there is nothing yet.
func (b *batch) beginRestore() error {
	switch {
	case b.staged > 0:
		return errBatchFull
	case b.s.restoring.Load():
		return fmt.Errorf("another backup is being restored: %w", store.ErrUnavailable)
	}
	if err := b.s.view(isEmpty); err != nil {
		return err
	}
	b.committed = func() { b.s.restoring.Store(true) }
	b.exclusive = true // no save gets between
	b.staged++
	return b.set([]byte{keyRestoring}, nil, 0)
}

func (s *Store) readSpool(ctx context.Context, p *spool, visit func(*archive.Frame) error) error {
	r, err := p.reader()
	if err != nil {
		return err
	}
	return archive.Read(r, func(f *archive.Frame) error {
		if err := s.interrupted(ctx); err != nil {
			return err
		}
		return visit(f)
	})
}

// undoRestore removes what a restore that failed has brought. If that fails,
// too, saves stay refused, and the next Open does it.
func (s *Store) undoRestore(ctx context.Context) error {
	return s.writer.do(ctx, &op{run: func(b *batch) error {
		if b.staged > 0 {
			return errBatchFull
		}
		var keys []store.Key
		err := s.view(func(txn *badger.Txn) error {
			it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{keySession}})
			defer it.Close()
			for it.Rewind(); it.Valid(); it.Next() {
				raw := it.Item().Key()
				keys = append(keys, store.Key{Manager: s.managers.name(number(raw[1:5])), ID: store.ID(raw[5:])})
			}
			return nil
		})
		if err == nil {
			err = s.dropPrefix(restored...) // only this goroutine writes
		}
		for _, key := range keys {
			s.cache.shard(key).forget(key)
		}
		if err = errors.Join(err, s.loadCounts(), s.loadOutbox()); err != nil {
			return fmt.Errorf("removing what was restored: %w", err)
		}
		b.staged++
		b.committed = func() { s.restoring.Store(false) }
		return b.remove([]byte{keyRestoring})
	}})
}

// restored are all keys that a restore brings, names excepted.
var restored = [][]byte{
	{keySession}, {keyAccess}, {keyExpiry}, {keyCreated}, {keyPrincipal}, {keyCount}, {keyEvent}, {keyDelivery},
	{keyRecipient}, {keyQueue}, {keyDue}, {keyDead},
}

// endRestore cleans up, at the opening, after a restore that was cut off.
func (s *Store) endRestore() error {
	if err := removeSpools(s.opts.Dir); err != nil {
		return err
	}
	err := s.view(func(txn *badger.Txn) error {
		_, err := txn.Get([]byte{keyRestoring})
		return err
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil
	}
	if err == nil {
		err = s.dropPrefix(restored...)
	}
	if err == nil {
		err = s.update(func(txn *badger.Txn) error { return txn.Delete([]byte{keyRestoring}) })
	}
	if err != nil {
		return fmt.Errorf("removing what a restore has left that was cut off: %w", err)
	}
	s.log.Warn("a restore was cut off: the store begins without sessions; restore the backup again", zap.String("dir", s.opts.Dir))
	return nil
}
