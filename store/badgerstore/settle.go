package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// settleStep is how many deliveries one transaction settles, and settleKeys how
// many entries of it one takes.
const (
	settleStep = 512
	settleKeys = 7
)

// settling runs a step of an operation on many deliveries.
func (s *Store) settling(ctx context.Context, n int, run func(*batch) error) error {
	return s.writer.do(ctx, &op{run: func(b *batch) error {
		if b.keys > maxBatchKeys-settleKeys*n || b.full() {
			return errBatchFull
		}
		return run(b)
	}})
}

// Settle implements store.Outbox. It is done even when disk space is short: it
// frees some, and what it writes is small.
func (s *Store) Settle(ctx context.Context, done ...store.Settlement) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	for part := range slices.Chunk(done, settleStep) {
		err := s.settling(ctx, len(part), func(b *batch) error {
			for i := range part {
				if err := b.settle(&part[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("settling deliveries: %w", err)
		}
	}
	return nil
}

// settle stages what became of a delivery, unless that is known already.
func (b *batch) settle(done *store.Settlement) error {
	d, err := b.find(done.ID)
	if err != nil || d == nil {
		return err
	}
	b.staged++
	if done.Delivered {
		return b.settled(d)
	}
	state := d.deliveryState
	state.Attempts++
	state.Next, state.Dead = archive.FromMillis(archive.Millis(done.Next)), done.Dead
	state.Failure = strings.ToValidUTF8(done.Error[:min(len(done.Error), store.MaxDeliveryError)], "")
	if !d.Dead && !state.Dead {
		return b.reschedule(d, state)
	}
	if err := b.unlink(d); err != nil {
		return err
	}
	return b.add(&newDelivery{d.listener, d.seq, state})
}

// unlink stages the removal of a delivery from its queue, or from those that
// are dead.
func (b *batch) unlink(d *newDelivery) error {
	if !d.Dead {
		return b.dequeue(d)
	}
	b.listenerDelta(d.listener).dead--
	return b.remove(deadKey(d.seq, d.listener))
}

// find returns the delivery that an ID names, as the batch has it so far, or
// nil. One that is damaged is found by its reader alone.
func (b *batch) find(id string) (found *newDelivery, err error) {
	seq, tag, ok := archive.ParseDeliveryID(id)
	if !ok {
		return nil, nil
	}
	err = b.eachDelivery(seq, func(n number, raw []byte) (bool, error) {
		state, err := readDelivery(b.txn, raw)
		if errors.Is(err, errDamaged) {
			return true, nil
		}
		if err == nil && state.Tag == tag {
			found = &newDelivery{n, seq, state}
		}
		return found == nil, err
	})
	return found, err
}

// eachDelivery visits the keys of an event's deliveries, waiting or dead, as the
// batch has them so far, until visit returns false.
func (b *batch) eachDelivery(seq uint64, visit func(listener number, raw []byte) (more bool, err error)) error {
	listeners, err := readRecipients(b.txn, seq)
	if err != nil {
		return err
	}
	for _, n := range listeners {
		for _, raw := range [...][]byte{deliveryKey(n, seq), deadKey(seq, n)} {
			_, err := b.txn.Get(raw)
			if errors.Is(err, badger.ErrKeyNotFound) {
				continue
			}
			more := false
			if err == nil {
				more, err = visit(n, raw)
			}
			if err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// settled stages the removal of a delivery, and with the last one of an event
// that of the event.
func (b *batch) settled(d *newDelivery) error {
	if err := b.unlink(d); err != nil {
		return err
	}
	isLast := true
	err := b.eachDelivery(d.seq, func(number, []byte) (bool, error) { isLast = false; return false, nil })
	if err != nil || !isLast {
		return err
	}
	return errors.Join(b.remove(eventKey(d.seq)), b.remove(recipientsKey(d.seq)))
}
