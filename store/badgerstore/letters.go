package badgerstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Revive implements store.Outbox.
func (s *Store) Revive(ctx context.Context, id string) error {
	return s.withDead(ctx, id, func(b *batch, l *letter, raw []byte, a *attempts) error {
		a.dead, a.next = false, time.Time{}
		b.staged++
		return b.again(l, raw, a)
	})
}

// Bury implements store.Outbox. As Settle, it is done even when disk space is
// short.
func (s *Store) Bury(ctx context.Context, id string) error {
	return s.withDead(ctx, id, func(b *batch, l *letter, _ []byte, _ *attempts) error {
		return b.settle(l, &store.Settlement{Delivered: true})
	})
}

// withDead has the writer do something with a dead letter, as it is on disk then.
func (s *Store) withDead(ctx context.Context, id string, do func(*batch, *letter, []byte, *attempts) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	return s.writer.do(ctx, &op{run: func(b *batch) error {
		l := b.s.outbox.find(id)
		if _, gone := b.mail.gone[l]; l == nil || gone {
			return store.ErrGone
		}
		raw := deliveryKey(l.box.listener, l.post.seq)
		a, err := readAttempts(b.txn, raw)
		if err != nil {
			return err
		}
		if !a.dead {
			return store.ErrGone
		}
		return do(b, l, raw, &a)
	}})
}

// Discard implements store.Outbox. As Settle, it is done even when disk space
// is short. Between two steps others have their turn.
func (s *Store) Discard(ctx context.Context, listener string) (discarded int, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	number, ok := s.listeners.number(listener)
	if !ok {
		return 0, nil
	}
	for {
		n := 0
		if err = s.interrupted(ctx); err == nil {
			err = s.writer.do(ctx, &op{run: func(b *batch) (err error) { n, err = b.discard(number); return err }})
		}
		if err != nil {
			return discarded, fmt.Errorf("discarding what waits for %s: %w", listener, err)
		}
		if discarded += n; n < settleStep {
			return discarded, nil
		}
	}
}

// discard stages the removal of some that waits for a listener, of all if that
// is less than settleStep, and returns how many that are.
func (b *batch) discard(listener number) (int, error) {
	switch {
	case b.s.restoring.Load(): // what it brings is not known yet
		return 0, fmt.Errorf("a backup is being restored: %w", store.ErrUnavailable)
	case b.keys > maxBatchKeys-2*settleStep || b.full():
		return 0, errAgain
	}
	some := b.s.outbox.last(listener, settleStep, b.mail.gone)
	for _, l := range some {
		if err := b.settle(l, &store.Settlement{Delivered: true}); err != nil {
			return 0, err
		}
	}
	return len(some), nil
}

// last returns at most n letters for a listener, dead or not, but for those
// given. They are from the ends of what they stand in, where it costs least to
// take many out.
func (o *outbox) last(listener number, n int, but map[*letter]struct{}) (some []*letter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.mailboxes[listener]
	if m == nil {
		return nil
	}
	take := func(l *letter) (more bool) {
		if _, ok := but[l]; !ok && l.box == m {
			some = append(some, l)
		}
		return len(some) < n
	}
	for _, h := range []*queueHeap{&m.ready, &m.deferred} {
		for _, q := range slices.Backward(h.queues) {
			for _, l := range slices.Backward(q.letters) {
				if !take(l) {
					return some
				}
			}
		}
	}
	for _, l := range slices.Backward(o.dead) {
		if !take(l) {
			return some
		}
	}
	return some
}
