package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/panics"
)

// A batch is what has queued, up to these bounds. With the largest record on
// top they keep it well below the largest transaction that Badger takes with
// this memtable.
const (
	maxBatchOps   = 256
	maxBatchBytes = 512 << 10
	maxBatchKeys  = 4096
)

// hardMargin is how far an operation with much to write stays from what the
// engine refuses.
const hardMargin = 64 << 10

// writer is the one goroutine that changes the database. It takes whatever
// has queued, checks each operation against the batch so far and the stored
// data, and commits all in one transaction, which costs one sync.
type writer struct {
	s        *Store
	ops      chan *op
	finished sync.WaitGroup
	unsynced atomic.Bool // something was committed and not synced (Async)

	hardBytes   int64 // more than that no transaction takes
	isUncertain bool  // a commit failed: what is on disk has to be looked at; the writer's alone

	batches atomic.Int64
	writes  atomic.Int64
}

// op is one operation in the queue. done gets exactly one value.
type op struct {
	key    store.Key
	run    func(*batch) error // decides, and stages, perhaps more than once; the batch may still fail
	result error
	done   chan error
}

func newWriter(s *Store) *writer {
	w := &writer{s: s, ops: make(chan *op, maxBatchOps), hardBytes: s.db.MaxBatchSize() - hardMargin}
	w.finished.Go(w.work)
	return w
}

// close ends the writer; the caller sees to it that nothing is queued any more.
func (w *writer) close() {
	close(w.ops)
	w.finished.Wait()
}

// do queues an operation and waits for its batch. When the context ends
// before, the outcome is unknown.
func (w *writer) do(ctx context.Context, o *op) error {
	o.done = make(chan error, 1)
	select {
	case w.ops <- o:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the commit: %w: %w", store.ErrUnknown, ctx.Err())
	}
}

// awaitQueue returns when all that queued before has been answered.
func (w *writer) awaitQueue() error {
	return w.do(context.Background(), &op{run: func(*batch) error { return nil }})
}

func (w *writer) work() {
	queue := make([]*op, 0, maxBatchOps)
	for first := range w.ops {
		queue = append(queue[:0], first)
	gather: // what is there, without waiting for stragglers
		for len(queue) < maxBatchOps {
			select {
			case o, ok := <-w.ops:
				if !ok {
					break gather
				}
				queue = append(queue, o)
			default:
				break gather
			}
		}
		for rest := queue; len(rest) > 0; {
			rest = rest[w.attempt(rest):]
		}
	}
}

// attempt is commit, and answers all when the engine panics.
func (w *writer) attempt(queue []*op) (n int) {
	err := w.s.engage(func() error { n = w.commit(queue); return nil })
	if err == nil {
		return n
	}
	for _, o := range queue {
		select { // unless it was answered
		case o.done <- commitError(w.s.opts.Dir, err):
		default:
		}
	}
	return len(queue)
}

// commit runs as many of the operations as one transaction takes, and answers
// them after the commit: an answer may rest on what another one of the batch
// staged. It returns how many that were.
func (w *writer) commit(queue []*op) (n int) {
	w.s.space.Watch()
	if err := w.s.refusal(); err != nil {
		for _, o := range queue {
			o.done <- err
		}
		return len(queue)
	}
	b := newBatch(w.s)
	defer b.drop()
	err := w.reloadState()
	for n < len(queue) && !b.full() {
		if err == nil {
			before := b.keys - b.cleared
			queue[n].result = b.run(queue[n])
			if failed := queue[n].result; failed != nil && !errors.Is(failed, errBatchFull) && b.keys-b.cleared > before {
				// Part of it is staged, and must not be committed: those before
				// it run once more, in a batch without it.
				bad := queue[n]
				copy(queue[1:n+1], queue[:n])
				queue[0] = bad
				bad.done <- failed
				return 1
			}
		}
		if errors.Is(queue[n].result, errBatchFull) && (n > 0 || b.staged > 0) {
			break // it goes on in the next batch
		}
		n++
	}
	if err == nil {
		err = b.commit()
		w.isUncertain = err != nil
	}
	if err == nil && b.staged > 0 {
		w.batches.Add(1)
		w.writes.Add(int64(b.staged))
		w.unsynced.Store(true)
	}
	for _, o := range queue[:n] {
		if err != nil {
			o.result = err
		}
		o.done <- o.result
	}
	return n
}

// reloadState reads anew, after a commit whose outcome is not known, what is kept
// in memory of the whole.
func (w *writer) reloadState() error {
	if !w.isUncertain {
		return nil
	}
	if err := w.s.begin(); err != nil {
		return fmt.Errorf("reading session store %s after a failed commit: %w: %w", w.s.opts.Dir, store.ErrUnavailable, err)
	}
	w.isUncertain = false
	return nil
}

// run runs one operation. A panic of a change function is its caller's
// mistake, and must not end the writer.
func (b *batch) run(o *op) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panics.Of("changing session "+o.key.ID.String(), p)
		}
	}()
	return o.run(b)
}

// commitError says what is known after a failed commit.
func commitError(dir string, err error) error {
	if errors.Is(err, store.ErrUnavailable) {
		return err
	}
	kind := store.ErrUnknown
	if errors.Is(err, badger.ErrBlockedWrites) || errors.Is(err, badger.ErrDBClosed) || errors.Is(err, badger.ErrTxnTooBig) {
		kind = store.ErrUnavailable
	}
	return fmt.Errorf("committing to session store %s: %w: %w", dir, kind, err)
}

// maintain does what has to be done from time to time. It belongs to the store,
// so that it runs once, however many managers use it.
func (s *Store) maintain() {
	syncs := time.NewTicker(syncInterval)
	spaces := time.NewTicker(spaceInterval)
	gc := time.NewTicker(gcInterval)
	defer syncs.Stop()
	defer spaces.Stop()
	defer gc.Stop()
	for {
		var err error
		select {
		case <-s.stop:
			return
		case <-s.wakeup:
			err = s.whileOpen(func() error { return s.flushTouches(false) })
		case <-syncs.C:
			if s.opts.Durability == Async && s.writer.unsynced.Swap(false) {
				err = s.whileOpen(s.sync)
			}
		case <-spaces.C:
			err = panics.Catch(func() error { s.space.Refresh(); return nil })
		case <-gc.C:
			err = s.whileOpen(s.collect)
		}
		if err != nil {
			s.log.Error("a background task of the session store failed; if this comes again, check disk and free space", zap.String("dir", s.opts.Dir), zap.Error(err))
		}
	}
}

// sync has the writer bring to the disk what was committed. Beside a commit that
// fails to make its next log the engine would panic with its own lock held, and
// never close again.
func (s *Store) sync() error {
	return s.writer.do(context.Background(), &op{run: func(*batch) error { return s.engage(s.db.Sync) }})
}

// whileOpen does something with the engine, unless it is not open.
func (s *Store) whileOpen(do func() error) (err error) {
	if s.enter(context.Background()) != nil {
		return nil
	}
	defer s.leave()
	defer s.caught(&err)
	return do()
}

// collect frees what is not used in the value log. Sessions are never there;
// older files may be. An error leaves the engine as it was.
func (s *Store) collect() error {
	err := s.db.RunValueLogGC(0.5)
	if errors.Is(err, badger.ErrNoRewrite) || errors.Is(err, badger.ErrRejected) {
		return nil
	}
	return err
}

func (s *Store) wake() {
	select {
	case s.wakeup <- struct{}{}:
	default:
	}
}
