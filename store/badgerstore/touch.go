package badgerstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// maxPending is how many unwritten touches one shard keeps before it has all
// of them written: it bounds memory, not time.
const maxPending = 4096

// Touch implements store.Store. The access time is visible at once. It is
// written when it is further ahead of what is written than half of the slack,
// so that a crash never ends a session early; at an orderly close; or when
// too many have gathered.
func (s *Store) Touch(ctx context.Context, touches ...store.Touch) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	for _, t := range touches {
		e, err := s.load(t.Key)
		if errors.Is(err, store.ErrGone) {
			continue
		}
		if err != nil {
			return err
		}
		if s.cache.shard(t.Key).touch(t, &e.rec) {
			s.wake()
		}
	}
	return nil
}

// touch notes an access time for a record that was just seen alive, and
// reports whether something has to be written now.
func (s *shard) touch(t store.Touch, seen *store.Record) (flush bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := archive.FromMillis(t.Accessed.UnixMilli())
	rec := seen
	if c, ok := s.entries[t.Key]; ok {
		rec = &c.rec
	}
	if rec.Incarnation != t.Incarnation || !at.After(rec.Accessed) {
		return false
	}
	p := s.pending[t.Key]
	if p == nil || p.incarnation != t.Incarnation {
		p = &touched{written: rec.Accessed, absolute: rec.Absolute}
		s.pending[t.Key] = p
	}
	if p.incarnation == t.Incarnation && !at.After(p.at) {
		return false
	}
	p.access = access{t.Incarnation, at}
	rec.Accessed = at
	if !p.isDue && at.Sub(p.written) >= store.TouchSlack(rec.Idle)/2 {
		p.isDue = true
		s.due = append(s.due, t.Key)
	}
	return len(s.due) > 0 || len(s.pending) > maxPending
}

// pendingTouch returns the access time that is not written yet, or none. It is asked
// for before a record is read: a touch that is written after that is not
// pending any more when the read is done.
func (s *shard) pendingTouch(key store.Key) access {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pending[key]; p != nil {
		return p.access
	}
	return access{}
}

// dueTouches adds copies of the touches that have to be written, or of all.
// They stay pending until they are written.
func (s *shard) dueTouches(all bool, into map[store.Key]touched) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if all || len(s.pending) > maxPending {
		for key, p := range s.pending {
			p.isDue = false
			into[key] = *p
		}
	} else {
		for _, key := range s.due {
			if p := s.pending[key]; p != nil {
				p.isDue = false
				into[key] = *p
			}
		}
	}
	s.due = s.due[:0]
}

// touchWritten follows a touch that was committed.
func (s *shard) touchWritten(key store.Key, t touched) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pending[key]
	switch {
	case p == nil || p.incarnation != t.incarnation:
	case p.at.Equal(t.at):
		delete(s.pending, key)
	default:
		p.written = t.at
	}
}

// flushTouches hands the touches that are due, or all, to the writer. When disk
// space is short they wait: a loss of them is late, a full disk fatal. At the
// close the reserve has room for them.
func (s *Store) flushTouches(all bool) error {
	if !all && s.space.IsLow() {
		return nil
	}
	due := make(map[store.Key]touched)
	for i := range s.cache.shards {
		s.cache.shards[i].dueTouches(all, due)
	}
	if len(due) == 0 {
		return nil
	}
	return s.writer.flush(due)
}

// flush writes access times, in batches of their own.
func (w *writer) flush(due map[store.Key]touched) error {
	part := make(map[store.Key]touched, maxBatchOps)
	write := func() error {
		if len(part) == 0 {
			return nil
		}
		mine := part
		part = make(map[store.Key]touched, maxBatchOps)
		err := w.do(context.Background(), &op{run: func(b *batch) error { return b.touch(mine) }})
		if err != nil {
			return fmt.Errorf("writing access times: %w", err)
		}
		for key, t := range mine {
			w.s.cache.shard(key).touchWritten(key, t)
		}
		return nil
	}
	for key, t := range due {
		if part[key] = t; len(part) == maxBatchOps {
			if err := write(); err != nil {
				return err
			}
		}
	}
	return write()
}

// touch stages access times of the records that are still there.
func (b *batch) touch(touches map[store.Key]touched) error {
	for key, t := range touches {
		current, err := b.current(key)
		if err != nil {
			return err
		}
		if current == nil || current.rec.Incarnation != t.incarnation {
			continue
		}
		n, err := b.number(key.Manager)
		if err != nil {
			return err
		}
		if current.rec.Accessed.After(t.at) {
			t.at = current.rec.Accessed // the sweep may have written that, since t was taken
		}
		if err := b.set(accessKey(n, key.ID), t.encode(current.due), b.s.ttlOf(current.rec.Absolute)); err != nil {
			return err
		}
		b.staged++
	}
	return nil
}
