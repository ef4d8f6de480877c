package badgerstore

import (
	"errors"
	"math"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// outboxDelta is what a batch changes in the outbox.
type outboxDelta struct {
	listeners map[string]number // new ones
	of        map[number]*listenerDelta
	queued    map[queueRef]int // by how much queues grow
	heads     map[queueRef]*queueHead
	reserved  uint64
}

// listenerDelta is by how much the figures of one listener change, and the
// first places in its indexes at which something was added.
type listenerDelta struct {
	waiting, dead, overflowed int
	fresh, retry, oldest      uint64
	wakes                     bool // something may be due that no Settle knows of
}

// queueRef names the deliveries of one session to one listener.
type queueRef struct {
	listener number
	session  sessionRef
}

// queueHead is the first of a queue, as the batch has it so far.
type queueHead struct {
	seq   uint64   // 0 if nothing waits
	added []uint64 // in this batch, and possibly removed again
}

// newDelivery is one delivery that is filed.
type newDelivery struct {
	listener number
	seq      uint64
	deliveryState
}

func (d *newDelivery) queue() queueRef { return queueRef{d.listener, d.session} }

// listenerDelta returns what the batch changes for a listener.
func (b *batch) listenerDelta(n number) *listenerDelta {
	c := b.outbox.of[n]
	if c == nil {
		c = &listenerDelta{fresh: math.MaxUint64, retry: math.MaxUint64, oldest: math.MaxUint64}
		setIn(&b.outbox.of, n, c)
	}
	return c
}

// file stages an event and its deliveries to those listeners.
func (b *batch) file(key store.Key, n store.Event, listeners []string, reason store.Reason, rec *store.Record) error {
	if len(listeners) == 0 {
		return nil
	}
	manager, err := b.number(key.Manager)
	if err != nil {
		return err
	}
	session, now := sessionRef{manager, key.ID}, archive.FromMillis(b.s.opts.Now().UnixMilli())
	seq, err := b.sequence()
	if err != nil {
		return err
	}
	body := event{session, archive.Event{Kind: n.Kind, Reason: reason, At: now, Keys: n.Keys, Size: len(rec.Data), Record: *rec}}
	body.Record.Cookies = nil // nothing is told of cookies
	if n.Kind != store.EventEnded {
		body.Record.Data = nil
	}
	var recipients []byte
	for _, name := range once(listeners) {
		listener, err := b.listener(name)
		if err != nil {
			return err
		}
		recipients = append(recipients, listener[:]...)
		state := deliveryState{session, now, archive.State{Tag: store.RandomUint64()}}
		c := b.listenerDelta(listener)
		c.wakes = true
		if c.waiting >= b.s.outbox.room(name, listener) {
			state.Dead, state.Failure = true, store.ErrorOverflow
			c.overflowed++
		}
		if err := b.add(&newDelivery{listener, seq, state}); err != nil {
			return err
		}
	}
	b.staged++
	raw := eventKey(seq)
	return errors.Join(b.set(raw, body.encode(raw), 0), b.set(recipientsKey(seq), recipients, 0))
}

// add stages a delivery, waiting or dead.
func (b *batch) add(d *newDelivery) error {
	if d.Dead {
		b.listenerDelta(d.listener).dead++
		raw := deadKey(d.seq, d.listener)
		return b.set(raw, d.encode(raw), 0)
	}
	return b.enqueue(d)
}

// enqueue stages a delivery that waits. It is behind those of its session that
// were filed before it.
func (b *batch) enqueue(d *newDelivery) error {
	q := d.queue()
	h, err := b.head(q)
	if err != nil {
		return err
	}
	if h.seq == 0 || d.seq < h.seq {
		if h.seq != 0 {
			state, err := b.readHead(d.listener, h.seq)
			if err != nil {
				return err
			}
			if err := b.remove(dueKey(d.listener, archive.Millis(state.Next), h.seq)); err != nil {
				return err
			}
		}
		if err := b.schedule(d.listener, d.seq, archive.Millis(d.Next)); err != nil {
			return err
		}
		h.seq = d.seq
	}
	h.added = append(h.added, d.seq)
	b.queue(q, 1)
	c := b.listenerDelta(d.listener)
	c.oldest = min(c.oldest, d.seq)
	raw := deliveryKey(d.listener, d.seq)
	return errors.Join(b.set(queueKey(q, d.seq), nil, 0), b.set(raw, d.encode(raw), 0))
}

// dequeue stages the removal of a delivery that waits. The next one of its
// session comes to the front.
func (b *batch) dequeue(d *newDelivery) error {
	q := d.queue()
	h, err := b.head(q)
	if err != nil {
		return err
	}
	if err := errors.Join(b.remove(deliveryKey(d.listener, d.seq)), b.remove(queueKey(q, d.seq))); err != nil {
		return err
	}
	b.queue(q, -1)
	if h.seq != d.seq {
		return nil
	}
	if err := b.remove(dueKey(d.listener, archive.Millis(d.Next), d.seq)); err != nil {
		return err
	}
	if err := b.advance(q, h); err != nil || h.seq == 0 {
		return err
	}
	state, err := b.readHead(d.listener, h.seq)
	if err != nil {
		return err
	}
	return b.schedule(d.listener, h.seq, archive.Millis(state.Next))
}

// readHead reads the first delivery of a queue. Of one that is damaged the index
// says when it is due, or else it is due at once: its reader gives it up.
func (b *batch) readHead(listener number, seq uint64) (deliveryState, error) {
	state, err := readDelivery(b.txn, deliveryKey(listener, seq))
	if errors.Is(err, errDamaged) || errors.Is(err, badger.ErrKeyNotFound) {
		due, _ := b.dueTime(listener, seq)
		return deliveryState{State: archive.State{Next: archive.FromMillis(due)}}, nil
	}
	return state, err
}

// reschedule stages another state of a delivery that waits.
func (b *batch) reschedule(d *newDelivery, state deliveryState) error {
	h, err := b.head(d.queue())
	if err != nil {
		return err
	}
	if h.seq == d.seq {
		err = errors.Join(b.remove(dueKey(d.listener, archive.Millis(d.Next), d.seq)), b.schedule(d.listener, d.seq, archive.Millis(state.Next)))
	}
	raw := deliveryKey(d.listener, d.seq)
	return errors.Join(err, b.set(raw, state.encode(raw), 0))
}

// schedule stages that the first delivery of a queue is due at a time, 0 being at once.
func (b *batch) schedule(listener number, seq uint64, next int64) error {
	c := b.listenerDelta(listener)
	if next == 0 {
		c.fresh = min(c.fresh, seq)
	} else {
		c.retry = min(c.retry, uint64(next))
	}
	return b.set(dueKey(listener, next, seq), nil, 0)
}

// queue notes that a queue has grown, or become shorter.
func (b *batch) queue(q queueRef, by int) {
	setIn(&b.outbox.queued, q, b.outbox.queued[q]+by)
	b.listenerDelta(q.listener).waiting += by
}

// head returns the first of a queue.
func (b *batch) head(q queueRef) (*queueHead, error) {
	if h := b.outbox.heads[q]; h != nil {
		return h, nil
	}
	h := new(queueHead)
	if err := b.advance(q, h); err != nil {
		return nil, err
	}
	setIn(&b.outbox.heads, q, h)
	return h, nil
}

// advance has a queue begin with the first one that still waits behind its
// present head.
func (b *batch) advance(q queueRef, h *queueHead) error {
	after := h.seq
	waits := func(seq uint64) bool {
		_, err := b.txn.Get(queueKey(q, seq))
		return err == nil
	}
	h.seq = 0
	if b.s.outbox.waits(q) {
		err := b.s.view(func(txn *badger.Txn) error {
			eachKey(txn, queuePrefix(q), func(key []byte) bool {
				if seq := seqOf(key); waits(seq) {
					h.seq = seq
				}
				return h.seq == 0
			}, queueKey(q, after+1))
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, seq := range h.added {
		if (h.seq == 0 || seq < h.seq) && waits(seq) {
			h.seq = seq
		}
	}
	return nil
}

// sequence gives the next seq. As with names, one that was given is not given
// again, even if its batch fails.
func (b *batch) sequence() (uint64, error) {
	o := &b.s.outbox
	seq := o.next
	o.next++
	return seq, b.reserve(seq)
}

// reserveStep is how many seqs are reserved at a time. A seq is given once,
// whatever crashes: receivers tell deliveries apart by it.
const reserveStep = 1 << 14

// reserve sees to it that a seq is not given after a crash.
func (b *batch) reserve(seq uint64) error {
	if seq < max(b.s.outbox.reserved, b.outbox.reserved) {
		return nil
	}
	b.outbox.reserved = seq + reserveStep
	return b.set([]byte{keySequence}, uint64Value(int64(b.outbox.reserved)), 0)
}

// listener returns the listener's number, and stages a new one.
func (b *batch) listener(name string) (number, error) {
	if n, ok := b.s.listeners.number(name); ok {
		return n, nil
	}
	if n, ok := b.outbox.listeners[name]; ok {
		return n, nil
	}
	n := b.s.listeners.next()
	setIn(&b.outbox.listeners, name, n)
	return n, b.set(nameKey(keyListener, name), n[:], 0)
}
