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

const (
	// sweepStep is how many sessions a sweep looks at in one go: it keeps
	// the writer for that long, and then others have their turn.
	sweepStep = 128
	// watermarkInterval is how far the watermarks on disk may lag behind.
	watermarkInterval = 10 * time.Minute
)

// due is a session that may have ended, where it is filed.
type due struct {
	key store.Key
	n   number
	at  int64
}

// Sweep implements store.Sweeper. What it finds is only where sessions are
// filed: the writer looks at each as it is then, touches that are not written
// included. When disk space is short, sessions whose end is to be told stay,
// since their data would be written once more; the others go, which frees
// space; and what lives on is not filed anew: the next call goes on behind it,
// and one that has come to the end is followed by one from the beginning.
func (s *Store) Sweep(ctx context.Context, now time.Time, n int) (ended int, more bool, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, false, err
	}
	defer s.leave()
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	if s.restoring.Load() {
		return 0, false, nil
	}
	w := newSweep(s, now)
	for n > 0 && err == nil {
		var part []due
		if part, err = w.next(min(n, sweepStep)); err != nil || len(part) == 0 {
			break
		}
		n -= len(part)
		if err = s.interrupted(ctx); err == nil {
			err = w.work(ctx, part)
		}
	}
	if err != nil {
		return w.ended, false, fmt.Errorf("sweeping: %w", err)
	}
	if more, err = w.finish(); err != nil {
		return w.ended, false, fmt.Errorf("sweeping: %w", err)
	}
	return w.ended, more && !w.low, s.writeWatermarks(ctx, watermarkInterval)
}

// sweep is one call of Sweep.
type sweep struct {
	s         *Store
	at        time.Time // what is past its deadline then has ended
	now       int64     // the same, in milliseconds
	low       bool      // disk space is short
	listeners map[string][]string
	scans     []*managerScan
	ended     int
}

// managerScan is what is due of one manager.
type managerScan struct {
	manager string
	n       number
	seek    place // what comes next is there or behind
	found   []due // and was not handed out yet
	isDone  bool  // there is no more behind found
	stuck   int64 // the first place of something that was left where it is; MaxInt64 if nothing was
}

func newSweep(s *Store, now time.Time) *sweep {
	w := &sweep{s: s, at: now, now: now.UnixMilli(), low: s.space.IsLow(), listeners: make(map[string][]string)}
	for _, manager := range s.managers.all() {
		w.listeners[manager] = s.subscribersOf(manager, store.EventEnded)
		if w.low && len(w.listeners[manager]) > 0 {
			continue
		}
		n, _ := s.managers.number(manager)
		l := &managerScan{manager: manager, n: n, seek: place{at: uint64(s.sweep.begin(n, w.now))}, stuck: w.now + 1}
		if past := s.sweep.resumeAt(n); w.low && past.compare(l.seek) > 0 {
			l.seek, l.stuck = past, int64(l.seek.at) // before it something stays where it is
		}
		w.scans = append(w.scans, l)
	}
	return w
}

// next returns the next ones that are due, the earliest first.
func (w *sweep) next(n int) (part []due, err error) {
	for len(part) < n {
		var first *managerScan
		for _, l := range w.scans {
			if err := w.fill(l, n); err != nil {
				return nil, err
			}
			if len(l.found) > 0 && (first == nil || l.found[0].at < first.found[0].at) {
				first = l
			}
		}
		if first == nil {
			break
		}
		part = append(part, first.found[0])
		first.found = first.found[1:]
	}
	return part, nil
}

// fill looks for what is due of a manager, if nothing is left of what it has found.
func (w *sweep) fill(l *managerScan, n int) error {
	if len(l.found) > 0 || l.isDone {
		return nil
	}
	prefix := numberKey(nil, keyExpiry, l.n)
	return w.s.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Seek(l.seek.append(slices.Clone(prefix))); it.Valid(); it.Next() {
			at := placeOf(it.Item().Key())
			if at.at > uint64(w.now) {
				break
			}
			if len(l.found) == n {
				l.seek = at
				return nil
			}
			l.found = append(l.found, due{store.Key{Manager: l.manager, ID: at.id}, l.n, int64(at.at)})
		}
		l.isDone = true
		return nil
	})
}

// work has the writer end those that have ended.
func (w *sweep) work(ctx context.Context, part []due) error {
	for len(part) > 0 {
		var done, ended int
		var stuck []due
		err := w.s.writer.do(ctx, &op{key: part[0].key, run: func(b *batch) error {
			done, ended, stuck = 0, 0, stuck[:0]
			for done < len(part) && (done == 0 || !b.full()) {
				outcome, err := b.sweep(part[done], w)
				switch {
				case done > 0 && errors.Is(err, errBatchFull):
					return nil // the rest comes with the next batch
				case err != nil:
					return err
				}
				switch outcome {
				case sweptEnded:
					ended++
				case sweptStuck:
					stuck = append(stuck, part[done])
				case sweptAnew: // it lives on, and stands in its new place
				}
				done++
			}
			return nil
		}})
		if err != nil {
			return err
		}
		for _, d := range stuck {
			i := slices.IndexFunc(w.scans, func(l *managerScan) bool { return l.n == d.n })
			w.scans[i].stuck = min(w.scans[i].stuck, d.at)
		}
		w.ended += ended
		part = part[done:]
	}
	return nil
}

// finish notes how far each manager was swept, and reports whether there is more.
func (w *sweep) finish() (more bool, err error) {
	for _, l := range w.scans {
		if err := w.fill(l, 1); err != nil {
			return false, err
		}
		at := l.stuck // now+1, if all went well
		var past place
		if len(l.found) > 0 {
			more = true
			at = min(at, l.found[0].at)
			past = place{uint64(l.found[0].at), l.found[0].key.ID}
		}
		w.s.sweep.advance(l.n, at, past)
	}
	return more, nil
}

// writeWatermarks writes the watermarks that are that far behind.
func (s *Store) writeWatermarks(ctx context.Context, behind time.Duration) error {
	all := s.sweep.unwritten(max(1, behind.Milliseconds()))
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b number) int { return cmp.Compare(string(a[:]), string(b[:])) })
	err := s.writer.do(ctx, &op{run: func(b *batch) error { return b.writeWatermarks(all) }})
	if err != nil {
		return fmt.Errorf("writing how far the sweep has come: %w", err)
	}
	return nil
}
