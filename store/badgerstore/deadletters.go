package badgerstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// DeadLetters implements store.Outbox. The dead letters of one event stand in
// the order of their tags.
func (s *Store) DeadLetters(ctx context.Context, after string, n int) (all []store.Delivery, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	var from, tag uint64
	if after != "" {
		var ok bool
		if from, tag, ok = archive.ParseDeliveryID(after); !ok {
			return nil, fmt.Errorf("listing dead letters: %w", store.ErrBadCursor)
		}
	}
	damaged := make(map[number][]uint64)
	err = s.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{keyDead}})
		defer it.Close()
		var event []store.Delivery // dead letters of one event
		take := func() {
			slices.SortFunc(event, func(a, b store.Delivery) int { return cmp.Compare(a.ID, b.ID) })
			all, event = append(all, event...), event[:0]
		}
		last := uint64(0)
		for it.Seek(deadKey(from, number{})); it.Valid(); it.Next() {
			raw := it.Item().KeyCopy(nil)
			seq, listener := seqOf(raw[:9]), number(raw[9:])
			if seq != last {
				if take(); len(all) >= n {
					break
				}
				last = seq
			}
			d, err := s.deliveryIn(txn, raw, listener, seq)
			switch {
			case errors.Is(err, errDamaged) || errors.Is(err, badger.ErrKeyNotFound):
				damaged[listener] = append(damaged[listener], seq)
			case err != nil:
				return err
			case seq > from || d.ID > archive.DeliveryID(from, tag):
				event = append(event, d)
			}
		}
		take()
		return nil
	})
	for listener, seqs := range damaged {
		if err == nil {
			err = s.giveUp(ctx, listener, seqs)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listing dead letters: %w: %w", store.ErrUnavailable, err)
	}
	return all[:min(max(n, 0), len(all))], nil
}

// RetryDeadLetter implements store.Outbox.
func (s *Store) RetryDeadLetter(ctx context.Context, id string) error {
	return s.updateDeadLetter(ctx, id, func(b *batch, d *newDelivery) error {
		if err := b.unlink(d); err != nil {
			return err
		}
		d.Dead, d.Next = false, time.Time{}
		b.listenerDelta(d.listener).wakes = true
		return b.add(d)
	})
}

// DeleteDeadLetter implements store.Outbox. As Settle, it is done even when disk space is
// short.
func (s *Store) DeleteDeadLetter(ctx context.Context, id string) error {
	return s.updateDeadLetter(ctx, id, (*batch).settled)
}

// updateDeadLetter has the writer do something with a dead letter, as it is on disk then.
func (s *Store) updateDeadLetter(ctx context.Context, id string, do func(*batch, *newDelivery) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	return s.writer.do(ctx, &op{run: func(b *batch) error {
		d, err := b.find(id)
		if err != nil {
			return err
		}
		if d == nil || !d.Dead {
			return store.ErrGone
		}
		b.staged++
		return do(b, d)
	}})
}

// PurgeListener implements store.Outbox. As Settle, it is done even when disk space
// is short. Between two steps others have their turn.
func (s *Store) PurgeListener(ctx context.Context, listener string) (discarded int, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	n, ok := s.listeners.number(listener)
	if !ok {
		return 0, nil
	}
	for _, prefix := range [...][]byte{numberKey(nil, keyDelivery, n), {keyDead}} {
		for from := prefix; from != nil; {
			removed, next := 0, from
			if err = s.interrupted(ctx); err == nil {
				err = s.settling(ctx, settleStep, func(b *batch) (err error) {
					removed, next, err = b.purge(n, prefix, from)
					return err
				})
			}
			if err != nil {
				return discarded, fmt.Errorf("purging listener %s: %w", listener, err)
			}
			discarded += removed
			from = next
		}
	}
	return discarded, nil
}

// purge stages the removal of at most settleStep deliveries to a listener whose
// keys begin with a prefix, from a key on. It returns how many that are, and
// where to go on, nil after the end.
func (b *batch) purge(listener number, prefix, from []byte) (removed int, next []byte, err error) {
	switch {
	case b.s.restoring.Load(): // what it brings is not known yet
		return 0, from, fmt.Errorf("a backup is being restored: %w", store.ErrUnavailable)
	case b.staged > 0: // what is on disk is all that is removed
		return 0, from, errBatchFull
	}
	var keys [][]byte
	err = b.s.view(func(txn *badger.Txn) error {
		eachKey(txn, prefix, func(key []byte) bool {
			if len(keys) == settleStep {
				next = bytes.Clone(key)
				return false
			}
			if prefix[0] == keyDelivery || number(key[9:]) == listener {
				keys = append(keys, bytes.Clone(key))
			}
			return true
		}, from)
		return nil
	})
	for _, raw := range keys {
		if err != nil {
			break
		}
		seq := seqOf(raw)
		if prefix[0] == keyDead {
			seq = seqOf(raw[:9])
		}
		state, readErr := readDelivery(b.txn, raw)
		switch {
		case errors.Is(readErr, errDamaged):
			err = b.giveUp(listener, seq)
		case readErr != nil:
			err = readErr
		default:
			err = b.settled(&newDelivery{listener, seq, state})
		}
		b.staged++
	}
	return len(keys), next, err
}

// giveUp removes deliveries that cannot be read.
func (s *Store) giveUp(ctx context.Context, listener number, damaged []uint64) error {
	for _, seq := range damaged {
		s.reportCorrupt(deliveryKey(listener, seq))
	}
	for part := range slices.Chunk(damaged, settleStep) {
		err := s.settling(ctx, len(part), func(b *batch) error {
			for _, seq := range part {
				if err := b.giveUp(listener, seq); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// giveUp stages the removal of all that is left of a delivery that cannot be
// read. Its session, and when it is due, are known from the indexes.
func (b *batch) giveUp(listener number, seq uint64) error {
	b.staged++
	if _, err := b.txn.Get(deadKey(seq, listener)); err == nil {
		return b.settled(&newDelivery{listener, seq, deliveryState{State: archive.State{Dead: true}}})
	}
	q, ok, err := b.queueOf(listener, seq)
	if err != nil {
		return err
	}
	due, isDue := b.dueTime(listener, seq)
	switch {
	case ok:
		return b.settled(&newDelivery{listener, seq, deliveryState{session: q.session, State: archive.State{Next: archive.FromMillis(due)}}})
	case isDue:
		return b.remove(dueKey(listener, due, seq))
	}
	return nil
}

// dueTime looks for when the first delivery of a queue is due, as the batch has
// it so far.
func (b *batch) dueTime(listener number, seq uint64) (due int64, ok bool) {
	eachKey(b.txn, numberKey(nil, keyDue, listener), func(key []byte) bool {
		if ok = seqOf(key) == seq; ok {
			due = dueRefOf(key).due
		}
		return !ok
	})
	return due, ok
}

// queueOf looks for the queue that a delivery stands in.
func (b *batch) queueOf(listener number, seq uint64) (q queueRef, ok bool, err error) {
	err = b.s.view(func(txn *badger.Txn) error {
		eachKey(txn, numberKey(nil, keyQueue, listener), func(key []byte) bool {
			if ok = seqOf(key) == seq; ok {
				q = queueRef{listener, sessionRef{number(key[5:9]), store.ID(key[9:25])}}
			}
			return !ok
		})
		return nil
	})
	if ok { // unless the batch has removed it
		_, getErr := b.txn.Get(queueKey(q, seq))
		ok = getErr == nil
	}
	return q, ok, err
}

// reportCorrupt counts and logs a delivery or an event that fails its checksum.
func (s *Store) reportCorrupt(key []byte) {
	s.damaged.Add(1)
	s.log.Error(fmt.Sprintf("an event for a listener is damaged (%x) and is not delivered; a damaged disk is likely", key))
}
