package badgerstore

import (
	"errors"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// event is an event with the session that it is of. That of an end keeps the
// session's last record: it is a tombstone.
type event struct {
	session sessionRef
	archive.Event
}

// sessionRef names a session by its manager's number.
type sessionRef struct {
	n  number
	id store.ID
}

func (r sessionRef) append(b []byte) []byte { return append(append(b, r.n[:]...), r.id[:]...) }

func readSessionRef(f *archive.Decoder) sessionRef {
	return sessionRef{number(f.Take(4)), store.ID(f.Take(16))}
}

func (n *event) encode(key []byte) []byte {
	b := make([]byte, sealLen, sealLen+256+len(n.Record.Principal)+len(n.Record.Data))
	return seal(key, n.Append(n.session.append(b)))
}

func decodeEvent(key, b []byte) (n event, err error) {
	if b, err = unseal(key, b); err != nil {
		return event{}, err
	}
	f := archive.NewDecoder(b)
	n.session = readSessionRef(f)
	if err := n.Read(f); err != nil {
		return event{}, err
	}
	return n, nil
}

// deliveryState is the state of one delivery, as it is stored. It names the
// session, too, so that the event need not be read for that.
type deliveryState struct {
	session sessionRef
	at      time.Time // when it happened
	archive.State
}

func (a *deliveryState) encode(key []byte) []byte {
	b := make([]byte, sealLen, sealLen+128+len(a.Failure))
	return seal(key, a.Append(archive.AppendTime(a.session.append(b), a.at)))
}

func decodeDelivery(key, b []byte) (a deliveryState, err error) {
	if b, err = unseal(key, b); err != nil {
		return deliveryState{}, err
	}
	f := archive.NewDecoder(b)
	a.session, a.at = readSessionRef(f), f.Time()
	if err := a.Read(f); err != nil {
		return deliveryState{}, err
	}
	return a, nil
}

// deliveryCost is at most what a delivery takes of a transaction, beside the
// listener's name.
const deliveryCost = 512

// eventCost is at most what an event for those listeners takes of a transaction.
func eventCost(r *store.Record, n store.Event, listeners []string) int {
	if len(listeners) == 0 {
		return 0
	}
	cost := 512 + len(r.Principal)
	if n.Kind == store.EventEnded {
		cost += len(r.Data)
	}
	for _, k := range n.Keys {
		cost += len(k) + 4
	}
	for _, l := range listeners {
		cost += deliveryCost + len(l)
	}
	return cost
}

func readDelivery(txn *badger.Txn, raw []byte) (a deliveryState, err error) {
	item, err := txn.Get(raw)
	if err != nil {
		return a, err
	}
	err = item.Value(func(b []byte) (err error) { a, err = decodeDelivery(raw, b); return err })
	return a, err
}

func readEvent(txn *badger.Txn, seq uint64) (n event, err error) {
	raw := eventKey(seq)
	item, err := txn.Get(raw)
	if err != nil {
		return n, err
	}
	err = item.Value(func(b []byte) (err error) { n, err = decodeEvent(raw, b); return err })
	return n, err
}

// readRecipients returns the listeners that an event was filed for.
func readRecipients(txn *badger.Txn, seq uint64) (all []number, err error) {
	item, err := txn.Get(recipientsKey(seq))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err == nil {
		err = item.Value(func(b []byte) error {
			for n := range slices.Chunk(b, len(number{})) {
				if len(n) == len(number{}) {
					all = append(all, number(n))
				}
			}
			return nil
		})
	}
	return all, err
}

// withRecipient returns the value that names one listener more.
func withRecipient(all []number, n number) (b []byte) {
	if !slices.Contains(all, n) {
		all = append(all, n)
	}
	for _, n := range all {
		b = append(b, n[:]...)
	}
	return b
}

// once leaves out repetitions.
func once(all []string) []string {
	names := make([]string, 0, len(all))
	for _, l := range all {
		if !slices.Contains(names, l) {
			names = append(names, l)
		}
	}
	return names
}
