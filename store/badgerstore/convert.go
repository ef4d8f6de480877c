package badgerstore

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// outboxFormat is that of the deliveries. Before, dead ones stood among those
// that wait, and there were no queues on disk.
const outboxFormat = 3

// convertStep is how many deliveries one transaction converts.
const convertStep = 512

// convertOutbox brings the deliveries of a former format into the present one.
// When it is cut off the next opening does it again, from the beginning.
func (s *Store) convertOutbox() error {
	var format uint64
	err := s.view(func(txn *badger.Txn) (err error) {
		format, err = readUint64(txn, []byte{keyOutbox})
		return err
	})
	if err != nil || format >= outboxFormat {
		return err
	}
	headed := make(map[queueRef]bool)
	for from := []byte{keyDelivery}; from != nil && err == nil; {
		var part [][]byte
		next := []byte(nil)
		err = s.view(func(txn *badger.Txn) error {
			eachKey(txn, []byte{keyDelivery}, func(key []byte) bool {
				if key = append([]byte(nil), key...); len(part) == convertStep {
					next = key
					return false
				}
				part = append(part, key)
				return true
			}, from)
			return nil
		})
		if err == nil {
			err = s.update(func(txn *badger.Txn) error {
				for _, raw := range part {
					if err := s.convertDelivery(txn, raw, headed); err != nil {
						return err
					}
				}
				return nil
			})
		}
		from = next
	}
	if err == nil {
		err = s.update(func(txn *badger.Txn) error { return txn.Set([]byte{keyOutbox}, uint64Value(outboxFormat)) })
	}
	if err != nil {
		return fmt.Errorf("converting deliveries of a former format: %w", err)
	}
	return nil
}

// convertDelivery files one delivery anew. headed are the queues whose first
// delivery was seen: keys come in the order of filing.
func (s *Store) convertDelivery(txn *badger.Txn, raw []byte, headed map[queueRef]bool) error {
	listener, seq := number(raw[1:5]), seqOf(raw)
	state, err := readDelivery(txn, raw)
	if errors.Is(err, errDamaged) {
		s.reportCorrupt(raw)
		return txn.Delete(raw)
	}
	if err != nil {
		return err
	}
	recipients, err := readRecipients(txn, seq)
	if err == nil {
		err = txn.Set(recipientsKey(seq), withRecipient(recipients, listener))
	}
	if err != nil {
		return err
	}
	if state.dead {
		dead := deadKey(seq, listener)
		return errors.Join(txn.Set(dead, state.encode(dead)), txn.Delete(raw))
	}
	q := queueRef{listener, state.session}
	if !headed[q] {
		headed[q] = true
		if err := txn.Set(dueKey(listener, millis(state.next), seq), nil); err != nil {
			return err
		}
	}
	return txn.Set(queueKey(q, seq), nil)
}
