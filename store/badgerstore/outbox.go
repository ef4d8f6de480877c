package badgerstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// Subscribe implements store.Outbox.
func (s *Store) Subscribe(listeners func(manager string, kind store.EventKind) []string) {
	s.subscribe = listeners
}

// Filed implements store.Outbox.
func (s *Store) Filed(listener string) <-chan struct{} { return s.wakeups.Filed(listener) }

// subscribersOf returns the listeners of a kind of events of a manager's sessions.
func (s *Store) subscribersOf(manager string, kind store.EventKind) []string {
	if s.subscribe == nil {
		return nil
	}
	return s.subscribe(manager, kind)
}

// Deliveries implements store.Outbox. Deliveries that are damaged are given up.
func (s *Store) Deliveries(ctx context.Context, listener string, n int) (due []store.Delivery, next time.Time, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, time.Time{}, err
	}
	defer s.leave()
	number, ok := s.listeners.number(listener)
	l := s.outbox.listener(number)
	if !ok || l == nil || n <= 0 || s.restoring.Load() {
		return nil, time.Time{}, nil
	}
	l.reading.Lock()
	defer l.reading.Unlock()
	for {
		var damaged []uint64
		from := s.outbox.beginScan(l) // before the transaction, which must see all that the marks are past
		err := s.view(func(txn *badger.Txn) error {
			var refs []dueRef
			refs, next = s.dueIn(txn, number, l, from, n)
			due = due[:0]
			for _, ref := range refs {
				d, err := s.deliveryIn(txn, deliveryKey(number, ref.seq), number, ref.seq)
				switch {
				case errors.Is(err, errDamaged) || errors.Is(err, badger.ErrKeyNotFound):
					damaged = append(damaged, ref.seq)
				case err != nil:
					return err
				default:
					due = append(due, d)
				}
			}
			return nil
		})
		if err == nil && len(damaged) > 0 {
			err = s.giveUp(ctx, number, damaged)
		}
		switch {
		case err != nil:
			return nil, time.Time{}, fmt.Errorf("reading deliveries: %w: %w", store.ErrUnavailable, err)
		case len(damaged) == 0 || len(due) > 0:
			return due, next, nil
		}
	}
}

// dueRef is an entry of the index of what is due.
type dueRef struct {
	due int64
	seq uint64
}

func dueRefOf(key []byte) dueRef { return dueRef{int64(seqOf(key[:len(key)-8])), seqOf(key)} }

// dueIn returns the first n deliveries that are due, or else when there will
// be one: of those that were not tried yet, of those whose time has come, and of
// those that were put off for longer than any is, while the clock was wrong.
func (s *Store) dueIn(txn *badger.Txn, listener number, l *listenerIndex, from scanStart, n int) (due []dueRef, next time.Time) {
	now := uint64(s.opts.Now().UnixMilli())
	last := now + uint64(store.MaxRetryDelay.Milliseconds())
	it := txn.NewIterator(badger.IteratorOptions{Prefix: numberKey(nil, keyDue, listener)})
	defer it.Close()
	// scan returns where the first entry stands from one place to another, and
	// takes n of those that are ready.
	scan := func(from dueRef, to, ready uint64) (first dueRef, ok bool) {
		taken := 0
		for it.Seek(dueKey(listener, from.due, from.seq)); it.Valid() && taken < n; it.Next() {
			key := it.Item().Key()
			ref := dueRefOf(key)
			if uint64(ref.due) > to {
				break
			}
			if !ok {
				first, ok = ref, true
			}
			if uint64(ref.due) > ready {
				next = archive.FromMillis(ref.due)
				break
			}
			due = append(due, ref)
			taken++
		}
		return first, ok
	}
	firstFresh, firstRetry := uint64(math.MaxUint64), uint64(math.MaxUint64)
	if ref, ok := scan(dueRef{0, from.fresh}, 0, 0); ok {
		firstFresh = ref.seq
	}
	if ref, ok := scan(dueRef{int64(max(from.retries, 1)), 0}, last, now); ok {
		firstRetry = uint64(ref.due)
	}
	if ref, ok := scan(dueRef{int64(max(from.retries, last+1)), 0}, math.MaxUint64, math.MaxUint64); ok {
		firstRetry = min(firstRetry, uint64(ref.due))
	}
	s.outbox.mu.Lock()
	l.fresh.end(firstFresh)
	l.retries.end(firstRetry)
	s.outbox.mu.Unlock()
	slices.SortFunc(due, func(a, b dueRef) int { return cmp.Compare(a.seq, b.seq) })
	if due = due[:min(n, len(due))]; len(due) > 0 {
		next = time.Time{}
	}
	return due, next
}

// deliveryIn reads a delivery, waiting or dead, and what it is of.
func (s *Store) deliveryIn(txn *badger.Txn, raw []byte, listener number, seq uint64) (d store.Delivery, err error) {
	a, err := readDelivery(txn, raw)
	if err != nil {
		return d, err
	}
	n, err := readEvent(txn, seq)
	if err != nil {
		return d, err
	}
	d = store.Delivery{
		ID: archive.DeliveryID(seq, a.Tag), Listener: s.listeners.name(listener),
		Kind: n.Kind, Reason: n.Reason, Key: store.Key{Manager: s.managers.name(n.session.n), ID: n.session.id},
		At: n.At, Keys: n.Keys, Info: n.Info(n.session.id), Attempts: a.Attempts, Next: a.Next, Error: a.Failure, Dead: a.Dead,
	}
	if n.Kind == store.EventEnded {
		d.Data = n.Record.Data
	}
	return d, nil
}

// Backlog implements store.Outbox.
func (s *Store) Backlog(ctx context.Context) (all []store.Backlog, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	for _, n := range s.listeners.numbersOf() {
		l := s.outbox.listener(n)
		if l == nil {
			continue
		}
		b, err := s.backlogOf(n, l)
		if err != nil {
			return nil, fmt.Errorf("reading the backlog: %w: %w", store.ErrUnavailable, err)
		}
		if b.Waiting+b.Dead > 0 || b.Overflowed > 0 {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b store.Backlog) int { return cmp.Compare(a.Listener, b.Listener) })
	return all, nil
}

// backlogOf returns what waits for one listener. The oldest is the first of
// its deliveries.
func (s *Store) backlogOf(n number, l *listenerIndex) (b store.Backlog, err error) {
	l.reading.Lock()
	defer l.reading.Unlock()
	o := &s.outbox
	o.mu.Lock()
	b = store.Backlog{Listener: s.listeners.name(n), Waiting: l.waiting, Dead: l.dead, Overflowed: l.overflowed}
	if b.Waiting == 0 {
		o.mu.Unlock()
		return b, nil
	}
	from, first := l.oldest.begin(), uint64(math.MaxUint64)
	o.mu.Unlock()
	err = s.view(func(txn *badger.Txn) error {
		eachKey(txn, numberKey(nil, keyDelivery, n), func(key []byte) bool {
			first = seqOf(key)
			return false
		}, deliveryKey(n, from))
		state, err := readDelivery(txn, deliveryKey(n, first))
		if err != nil && !errors.Is(err, badger.ErrKeyNotFound) && !errors.Is(err, errDamaged) {
			return err
		}
		b.Oldest = state.at
		return nil
	})
	if err != nil {
		return b, err
	}
	o.mu.Lock()
	l.oldest.end(first)
	o.mu.Unlock()
	return b, nil
}
