package badgerstore

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
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
	return seal(key, n.append(b))
}

func decodeEvent(key, b []byte) (n event, err error) {
	if b, err = unseal(key, b); err != nil {
		return event{}, err
	}
	f := decoder{b: b}
	n.session = sessionRef{number(f.take(4)), store.ID(f.take(16))}
	return n, n.read(&f)
}

// append writes everything but the session, which a backup names otherwise.
func (n *event) append(b []byte) []byte {
	b = appendText(appendText(b, string(n.kind)), string(n.reason))
	b = appendTime(b, n.at)
	b = binary.BigEndian.AppendUint32(b, uint32(len(n.keys)))
	for _, k := range n.keys {
		b = appendText(b, k)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(n.size))
	return appendRecord(b, &n.rec)
}

func (n *event) read(f *decoder) (err error) {
	n.kind, n.reason, n.at = store.EventKind(f.text()), store.Reason(f.text()), f.time()
	for range f.uint32() {
		if n.keys = append(n.keys, f.text()); f.failed {
			return errDamaged
		}
	}
	n.size = int(f.uint32())
	if n.rec, err = decodeRecord(f.rest()); err != nil || f.failed {
		return errDamaged
	}
	return nil
}

// info returns the metadata of the record that the event is of.
func (n *event) info() store.Info {
	info := n.rec.Info(n.session.id)
	info.Size = n.size
	return info
}

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
	return seal(key, a.append(appendTime(b, a.at)))
}

func decodeDelivery(key, b []byte) (a deliveryState, err error) {
	if b, err = unseal(key, b); err != nil {
		return deliveryState{}, err
	}
	f := decoder{b: b}
	a.session = sessionRef{number(f.take(4)), store.ID(f.take(16))}
	a.at = f.time()
	return a, a.read(&f)
}

func (a *deliveryState) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, a.tag)
	b = binary.BigEndian.AppendUint32(b, uint32(a.n))
	b = appendTime(b, a.next)
	dead := byte(0)
	if a.dead {
		dead = 1
	}
	return appendText(append(b, dead), a.failure)
}

func (a *deliveryState) read(f *decoder) error {
	a.tag, a.n, a.next = f.uint64(), int(f.uint32()), f.time()
	a.dead = f.take(1)[0] == 1
	if a.failure = f.text(); f.failed || len(f.b) > 0 || len(a.failure) > store.MaxDeliveryError {
		return errDamaged
	}
	return nil
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

// deliveryID is how others name a delivery: where it stands in the order of
// filing, and a random number, so that no two stores give the same one.
func deliveryID(seq, tag uint64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], seq)
	binary.BigEndian.PutUint64(b[8:], tag)
	return hex.EncodeToString(b[:])
}

func parseDeliveryID(id string) (seq, tag uint64, ok bool) {
	b, err := hex.DecodeString(id)
	if err != nil || len(b) != 16 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), true
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
