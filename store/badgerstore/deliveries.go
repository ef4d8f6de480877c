package badgerstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
)

// Deliveries implements store.Outbox.
func (s *Store) Deliveries(ctx context.Context, listener string, n int) (due []store.Delivery, next time.Time, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, time.Time{}, err
	}
	defer s.leave()
	number, ok := s.listeners.number(listener)
	if !ok || s.restoring.Load() {
		return nil, time.Time{}, nil
	}
	o := &s.outbox
	o.mu.Lock()
	var letters []*letter
	if m := o.mailboxes[number]; m != nil {
		letters, next = m.due(n, s.opts.Now())
	}
	o.mu.Unlock()
	due, err = s.open(ctx, letters)
	return due, next, err
}

// open reads what letters say. One that has just been delivered is left out;
// one that is damaged is, too, and never comes back.
func (s *Store) open(ctx context.Context, letters []*letter) (all []store.Delivery, err error) {
	var damaged []store.Settlement
	err = s.view(func(txn *badger.Txn) error {
		for _, l := range letters {
			d, err := s.openIn(txn, l)
			switch {
			case errors.Is(err, badger.ErrKeyNotFound):
			case errors.Is(err, errDamaged):
				s.lostDelivery(deliveryKey(l.box.listener, l.post.seq))
				damaged = append(damaged, store.Settlement{ID: deliveryID(l.post.seq, l.tag), Delivered: true})
			case err != nil:
				return err
			default:
				all = append(all, d)
			}
		}
		return nil
	})
	if err == nil && len(damaged) > 0 {
		err = s.settle(ctx, damaged)
	}
	if err != nil {
		return nil, fmt.Errorf("reading deliveries: %w: %w", store.ErrUnavailable, err)
	}
	return all, nil
}

func (s *Store) openIn(txn *badger.Txn, l *letter) (d store.Delivery, err error) {
	a, err := readAttempts(txn, deliveryKey(l.box.listener, l.post.seq))
	if err != nil {
		return d, err
	}
	raw := noticeKey(l.post.seq)
	item, err := txn.Get(raw)
	if err != nil {
		return d, err
	}
	var n notice
	if err := item.Value(func(b []byte) (err error) { n, err = decodeNotice(raw, b); return err }); err != nil {
		return d, err
	}
	d = store.Delivery{
		ID: deliveryID(l.post.seq, l.tag), Listener: s.listeners.name(l.box.listener),
		Kind: n.kind, Reason: n.reason, Key: store.Key{Manager: s.managers.name(n.session.n), ID: n.session.id},
		At: n.at, Keys: n.keys, Info: n.info(), Attempts: a.n, Next: a.next, Error: a.failure, Dead: a.dead,
	}
	if n.kind == store.NoticeEnded {
		d.Data = n.rec.Data
	}
	return d, nil
}

// settleStep is how many deliveries one transaction settles.
const settleStep = 1024

// Settle implements store.Outbox. It is done even when disk space is short: it
// frees some, and what it writes is small.
func (s *Store) Settle(ctx context.Context, done ...store.Settlement) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	return s.settle(ctx, done)
}

func (s *Store) settle(ctx context.Context, done []store.Settlement) error {
	for part := range slices.Chunk(done, settleStep) {
		err := s.writer.do(ctx, &op{run: func(b *batch) error {
			if b.keys > maxBatchKeys-2*len(part) || b.full() {
				return errAgain
			}
			for i := range part {
				if err := b.settle(b.s.outbox.find(part[i].ID), &part[i]); err != nil {
					return err
				}
			}
			return nil
		}})
		if err != nil {
			return fmt.Errorf("settling deliveries: %w", err)
		}
	}
	return nil
}

// DeadLetters implements store.Outbox.
func (s *Store) DeadLetters(ctx context.Context, after string, n int) ([]store.Delivery, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	last := &letter{post: &post{}}
	if after != "" {
		var ok bool
		if last.post.seq, last.tag, ok = parseDeliveryID(after); !ok {
			return nil, fmt.Errorf("listing dead letters: %w", store.ErrBadCursor)
		}
	}
	o := &s.outbox
	o.mu.Lock()
	i, found := slices.BinarySearchFunc(o.dead, last, (*letter).compare)
	if found {
		i++
	}
	letters := slices.Clone(o.dead[i:min(i+max(n, 0), len(o.dead))])
	o.mu.Unlock()
	return s.open(ctx, letters)
}

// Backlog implements store.Outbox.
func (s *Store) Backlog(ctx context.Context) (all []store.Backlog, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	o := &s.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	for n, m := range o.mailboxes {
		if m.waiting+m.dead > 0 {
			all = append(all, store.Backlog{
				Listener: s.listeners.name(n), Waiting: m.waiting, Dead: m.dead, Oldest: moment(m.oldest()),
			})
		}
	}
	slices.SortFunc(all, func(a, b store.Backlog) int { return cmp.Compare(a.Listener, b.Listener) })
	return all, nil
}
