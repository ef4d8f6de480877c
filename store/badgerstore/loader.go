package badgerstore

import (
	"context"

	"github.com/sessionproxy/sessionproxy/store"
)

// loader stores what is in a backup, some at a time.
type loader struct {
	s        *Store
	ctx      context.Context
	frames   []*archived
	cost     int
	sessions int64
}

// add takes a frame. An event stays together with its deliveries.
func (l *loader) add(f *archived) error {
	if f.kind != frameDelivery && (l.cost >= maxBatchBytes || len(l.frames) >= maxBatchOps) {
		if err := l.flush(); err != nil {
			return err
		}
	}
	switch f.kind {
	case frameSession:
		l.sessions++
		l.cost += recordCost(&f.rec)
	case frameEvent:
		l.cost += eventCost(&f.event.rec, store.Event{Kind: f.event.kind, Keys: f.event.keys, Listeners: []string{""}})
	case frameDelivery:
		l.cost += deliveryCost + len(f.listener)
	}
	l.frames = append(l.frames, f)
	return nil
}

func (l *loader) flush() error {
	frames, cost := l.frames, l.cost
	l.frames, l.cost = nil, 0
	if len(frames) == 0 {
		return nil
	}
	if err := l.s.space.short(); err != nil {
		return err
	}
	return l.s.writer.do(l.ctx, &op{run: func(b *batch) error {
		if err := b.room(cost); err != nil {
			return err
		}
		for _, f := range frames {
			if err := b.load(f); err != nil {
				return err
			}
		}
		b.staged++
		return nil
	}})
}

// load stages one frame.
func (b *batch) load(f *archived) error {
	if f.kind == frameSession {
		return b.record(f.key, nil, &f.rec)
	}
	n, err := b.number(f.key.Manager)
	if err != nil {
		return err
	}
	who := sessionRef{n, f.key.ID}
	if f.kind == frameEvent {
		if err := b.reserve(f.seq); err != nil {
			return err
		}
		b.s.outbox.next = max(b.s.outbox.next, f.seq+1)
		f.event.session = who
		raw := eventKey(f.seq)
		return b.set(raw, f.event.encode(raw), 0)
	}
	listener, err := b.listener(f.listener)
	if err != nil {
		return err
	}
	f.state.session, f.state.at = who, f.event.at
	recipients, err := readRecipients(b.txn, f.seq)
	if err == nil {
		err = b.set(recipientsKey(f.seq), withRecipient(recipients, listener), 0)
	}
	if err != nil {
		return err
	}
	return b.add(&newDelivery{listener, f.seq, f.state})
}
