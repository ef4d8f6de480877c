package badgerstore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
)

// mailBatch is what a batch changes in the outbox.
type mailBatch struct {
	listeners map[string]number // new ones
	filed     []filing
	moved     []move
	gone      map[*letter]struct{}
	left      map[*post]int // letters that a post has, where they became fewer
	reserved  uint64
}

// move is what became of a letter that stays.
type move struct {
	letter *letter
	next   int64
	dead   bool
}

// file stages a notice and its deliveries.
func (b *batch) file(key store.Key, n store.Notice, reason store.Reason, rec *store.Record) error {
	if len(n.Listeners) == 0 {
		return nil
	}
	manager, err := b.number(key.Manager)
	if err != nil {
		return err
	}
	who, now := owner{manager, key.ID}, moment(b.s.opts.Now().UnixMilli())
	seq, err := b.sequence()
	if err != nil {
		return err
	}
	body := notice{kind: n.Kind, reason: reason, session: who, at: now, keys: n.Keys, size: len(rec.Data), rec: *rec}
	if n.Kind != store.NoticeEnded {
		body.rec.Data = nil
	}
	if err := b.letter(seq, &body, listenersOnce(n.Listeners)); err != nil {
		return err
	}
	b.staged++
	return nil
}

// letter stages a notice, and new deliveries of it.
func (b *batch) letter(seq uint64, body *notice, listeners []string) error {
	for _, name := range listeners {
		listener, err := b.listener(name)
		if err != nil {
			return err
		}
		f := filing{listener, seq, attempts{tag: randomUint64(), session: body.session, at: body.at}}
		if err := b.deliver(&f); err != nil {
			return err
		}
	}
	raw := noticeKey(seq)
	return b.set(raw, body.encode(raw), 0)
}

// deliver stages a delivery of a notice.
func (b *batch) deliver(f *filing) error {
	raw := deliveryKey(f.listener, f.seq)
	b.mail.filed = append(b.mail.filed, *f)
	return b.set(raw, f.encode(raw), 0)
}

// settle stages what became of a delivery.
func (b *batch) settle(l *letter, d *store.Settlement) error {
	if _, ok := b.mail.gone[l]; ok || l == nil {
		return nil
	}
	raw := deliveryKey(l.box.listener, l.post.seq)
	b.staged++
	if d.Delivered {
		put(&b.mail.gone, l, struct{}{})
		left, ok := b.mail.left[l.post]
		if !ok {
			left = len(l.post.letters) // only the writer changes it
		}
		put(&b.mail.left, l.post, left-1)
		if left == 1 {
			if err := b.remove(noticeKey(l.post.seq)); err != nil {
				return err
			}
		}
		return b.remove(raw)
	}
	a, err := readAttempts(b.txn, raw)
	if errors.Is(err, errDamaged) {
		a, err = attempts{tag: l.tag, session: l.post.session, at: moment(l.post.at)}, nil
	}
	if err != nil {
		return err
	}
	a.n++
	a.next, a.dead, a.failure = moment(millis(d.Next)), d.Dead, d.Error[:min(len(d.Error), store.MaxDeliveryError)]
	return b.again(l, raw, &a)
}

// again stages another state of a delivery.
func (b *batch) again(l *letter, raw []byte, a *attempts) error {
	b.mail.moved = append(b.mail.moved, move{l, millis(a.next), a.dead})
	return b.set(raw, a.encode(raw), 0)
}

func readAttempts(txn *badger.Txn, raw []byte) (a attempts, err error) {
	item, err := txn.Get(raw)
	if err != nil {
		return a, err
	}
	err = item.Value(func(b []byte) (err error) { a, err = decodeAttempts(raw, b); return err })
	return a, err
}

// sequence gives the next seq. As with names, one that was given is not given
// again, even if its batch fails.
func (b *batch) sequence() (uint64, error) {
	o := &b.s.outbox
	seq := o.next
	o.next++
	return seq, b.reserve(seq)
}

// reserve sees to it that a seq is not given after a crash.
func (b *batch) reserve(seq uint64) error {
	if seq < max(b.s.outbox.reserved, b.mail.reserved) {
		return nil
	}
	b.mail.reserved = seq + reserveStep
	return b.set([]byte{keySequence}, uint64Value(int64(b.mail.reserved)), 0)
}

// listener returns the listener's number, and stages a new one.
func (b *batch) listener(name string) (number, error) {
	if n, ok := b.s.listeners.number(name); ok {
		return n, nil
	}
	if n, ok := b.mail.listeners[name]; ok {
		return n, nil
	}
	n := b.s.listeners.next()
	put(&b.mail.listeners, name, n)
	return n, b.set(nameKey(keyListener, name), n[:], 0)
}

// listenersOnce leaves out repetitions: a listener is told once.
func listenersOnce(all []string) []string {
	once := make([]string, 0, len(all))
	for _, l := range all {
		if !slices.Contains(once, l) {
			once = append(once, l)
		}
	}
	return once
}

func randomUint64() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return binary.BigEndian.Uint64(b[:])
}
