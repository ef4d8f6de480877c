package badgerstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// Backup implements store.Archiver. It reads in one transaction, which holds
// no writer up, and keeps few records in memory. Access times that
// are not written yet are in it.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	err := s.view(func(txn *badger.Txn) error {
		a, err := archive.NewWriter(w, s.id, s.opts.Now())
		if err != nil {
			return err
		}
		if err := s.backupSessions(ctx, txn, a); err != nil {
			return err
		}
		if err := s.backupOutbox(ctx, txn, a); err != nil {
			return err
		}
		if err := s.interrupted(ctx); err != nil { // a short one was written in one go
			return err
		}
		return a.End()
	})
	if err != nil {
		return fmt.Errorf("backing up session store %s: %w", s.opts.Dir, err)
	}
	return nil
}

// backupStep and backupBytes bound what a backup has in memory at a time.
const (
	backupStep  = 256
	backupBytes = 1 << 20
)

func (s *Store) backupSessions(ctx context.Context, txn *badger.Txn, a *archive.Writer) error {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{keySession}, PrefetchValues: true, PrefetchSize: 64})
	defer it.Close()
	part, bytes := make([]listed, 0, backupStep), 0
	flush := func() error {
		if err := errors.Join(s.interrupted(ctx), s.refreshAccess(part)); err != nil {
			return err
		}
		for i := range part {
			if err := a.Session(part[i].key, &part[i].rec); err != nil {
				return err
			}
		}
		part, bytes = part[:0], 0
		return nil
	}
	for it.Rewind(); it.Valid(); it.Next() {
		raw := it.Item().Key()
		n := number(raw[1:5])
		key := store.Key{Manager: s.managers.name(n), ID: store.ID(raw[5:])}
		e, err := s.recordOf(it.Item(), key)
		if errors.Is(err, store.ErrGone) {
			continue // damaged
		}
		if err != nil {
			return err
		}
		part, bytes = append(part, listed{key: key, n: n, entry: e}), bytes+len(e.rec.Data)+len(e.rec.Cookies)
		if len(part) == backupStep || bytes > backupBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (s *Store) backupOutbox(ctx context.Context, txn *badger.Txn, a *archive.Writer) error {
	listeners := s.listeners.all()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{keyEvent}, PrefetchValues: true, PrefetchSize: 64})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if err := s.interrupted(ctx); err != nil {
			return err
		}
		raw := it.Item().Key()
		seq := binary.BigEndian.Uint64(raw[1:])
		var n event
		if err := it.Item().Value(func(b []byte) (err error) { n, err = decodeEvent(raw, b); return err }); err != nil {
			if !errors.Is(err, errDamaged) {
				return err
			}
			s.reportCorrupt(raw)
			continue
		}
		begun := false
		for _, name := range listeners {
			listener, _ := s.listeners.number(name)
			t, err := readDelivery(txn, deliveryKey(listener, seq))
			if errors.Is(err, badger.ErrKeyNotFound) {
				t, err = readDelivery(txn, deadKey(seq, listener))
			}
			switch {
			case errors.Is(err, badger.ErrKeyNotFound):
				continue
			case errors.Is(err, errDamaged):
				s.reportCorrupt(deliveryKey(listener, seq))
				continue
			case err != nil:
				return err
			}
			if !begun {
				begun = true
				if err := a.Event(seq, store.Key{Manager: s.managers.name(n.session.n), ID: n.session.id}, &n.Event); err != nil {
					return err
				}
			}
			if err := a.Delivery(name, &t.State); err != nil {
				return err
			}
		}
	}
	return nil
}
