package badgerstore

import (
	"errors"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// event is what all listeners that are to be told of one thing share. That
// of an end keeps the session's last record: it is a tomb.
type event struct {
	kind    store.EventKind
	reason  store.Reason
	session sessionRef
	at      time.Time
	keys    []string
	size    int          // of the data, which only a tomb has
	rec     store.Record // with Data of a tomb alone
}

// sessionRef names a session by its manager's number.
type sessionRef struct {
	n  number
	id store.ID
}

func (n *event) encode(key []byte) []byte {
	b := make([]byte, sealLen, sealLen+256+len(n.rec.Principal)+len(n.rec.Data))
	b = append(append(b, n.session.n[:]...), n.session.id[:]...)
	return seal(key, n.archived().Append(b))
}

func decodeEvent(key, b []byte) (n event, err error) {
	if b, err = unseal(key, b); err != nil {
		return event{}, err
	}
	f := archive.NewDecoder(b)
	session := sessionRef{number(f.Take(4)), store.ID(f.Take(16))}
	var body archive.Event
	if err := body.Read(f); err != nil {
		return event{}, err
	}
	return eventOf(&body, session), nil
}

// archived returns the event as a backup has it.
func (n *event) archived() *archive.Event {
	return &archive.Event{Kind: n.kind, Reason: n.reason, At: n.at, Keys: n.keys, Size: n.size, Record: n.rec}
}

// eventOf returns the event of a session that a backup has.
func eventOf(n *archive.Event, session sessionRef) event {
	return event{n.Kind, n.Reason, session, n.At, n.Keys, n.Size, n.Record}
}

// info returns the metadata of the record that the event is of.
func (n *event) info() store.Info { return n.archived().Info(n.session.id) }

// deliveryState is the state of one delivery, as it is stored. It names the
// session, too, so that the event need not be read for that.
type deliveryState struct {
	tag     uint64
	session sessionRef
	at      time.Time // when it happened
	n       int
	next    time.Time
	dead    bool
	failure string
}

func (a *deliveryState) encode(key []byte) []byte {
	b := make([]byte, sealLen, sealLen+128+len(a.failure))
	b = append(append(b, a.session.n[:]...), a.session.id[:]...)
	return seal(key, a.archived().Append(archive.AppendTime(b, a.at)))
}

func decodeDelivery(key, b []byte) (a deliveryState, err error) {
	if b, err = unseal(key, b); err != nil {
		return deliveryState{}, err
	}
	f := archive.NewDecoder(b)
	session, at := sessionRef{number(f.Take(4)), store.ID(f.Take(16))}, f.Time()
	var state archive.State
	if err := state.Read(f); err != nil {
		return deliveryState{}, err
	}
	return stateOf(&state, session, at), nil
}

// archived returns the state as a backup has it.
func (a *deliveryState) archived() *archive.State {
	return &archive.State{Tag: a.tag, Attempts: a.n, Next: a.next, Dead: a.dead, Failure: a.failure}
}

// stateOf returns the state of a delivery that a backup has.
func stateOf(s *archive.State, session sessionRef, at time.Time) deliveryState {
	return deliveryState{s.Tag, session, at, s.Attempts, s.Next, s.Dead, s.Failure}
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
