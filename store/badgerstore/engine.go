package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/disk"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/panics"
)

// The engine must not be used after some failures: when it cannot make its
// next log it has no memtable left, the next read of it is a nil pointer and
// the next write ends the process. Every use of it goes through the methods
// below, which turn a panic into a fault.

// fault is why the engine is not used any more, until it was opened again.
type fault struct {
	err      error
	repaired chan struct{} // closed when the store works again, or never will
}

// broken returns an error while the engine must not be used.
func (s *Store) broken() error {
	f := s.fault.Load()
	if f == nil {
		return nil
	}
	return fmt.Errorf("session store %s has failed and is not open again yet: %w: %w", s.opts.Dir, store.ErrUnavailable, f.err)
}

// breakDown ends the use of the engine, once, and has it opened again.
func (s *Store) breakDown(err error) {
	f := &fault{err: err, repaired: make(chan struct{})}
	if !s.fault.CompareAndSwap(nil, f) {
		return
	}
	s.log.Error("session store has failed: writes are refused until it could be opened again, hot sessions are read on",
		zap.String("dir", s.opts.Dir), zap.Error(err))
	s.life.Lock()
	defer s.life.Unlock()
	if s.isServing && !s.isClosing {
		s.isServing = false
		s.repairs.Go(func() { s.repair(f) })
	}
}

// caught makes a fault of a panic, to be deferred.
func (s *Store) caught(err *error) {
	if p := recover(); p != nil {
		*err = panics.Of("the engine", p)
		s.log.Error("panic in the session store's engine", zap.Error(*err), zap.ByteString("stack", debug.Stack()))
		s.breakDown(*err)
	}
}

// view runs a read transaction.
func (s *Store) view(f func(*badger.Txn) error) (err error) {
	if err := s.broken(); err != nil {
		return err
	}
	defer func() {
		if errors.Is(err, badger.ErrDBClosed) || s.fault.Load() != nil && err != nil {
			err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
		}
	}()
	defer s.caught(&err)
	return s.db.View(f)
}

// update runs a transaction that writes, beside the writer or before it runs.
func (s *Store) update(f func(*badger.Txn) error) error {
	return s.engage(func() error { return s.db.Update(f) })
}

// dropPrefix removes all keys with one of the prefixes. Only the writer's
// goroutine may call it, since it refuses writes meanwhile.
func (s *Store) dropPrefix(prefixes ...[]byte) error {
	return s.engage(func() error { return s.db.DropPrefix(prefixes...) })
}

// engage does something after whose failure the engine is in an unknown state.
func (s *Store) engage(f func() error) (err error) {
	if err := s.broken(); err != nil {
		return err
	}
	defer s.caught(&err)
	if err = f(); isFatal(err) {
		s.breakDown(err)
	}
	return err
}

// refusal returns why nothing can be written now, or nil.
func (s *Store) refusal() error {
	if err := s.broken(); err != nil {
		return err
	}
	return s.space.Refusal()
}

// isFatal reports whether the engine may be unusable after the error of a write.
func isFatal(err error) bool {
	for _, harmless := range []error{
		badger.ErrBlockedWrites, badger.ErrDBClosed, badger.ErrTxnTooBig, badger.ErrConflict, badger.ErrDiscardedTxn, store.ErrUnavailable,
	} {
		if errors.Is(err, harmless) {
			return false
		}
	}
	return err != nil
}

const (
	leastRepairPause = time.Second
	mostRepairPause  = time.Minute
	// repairTimeout is how long a write of unknown outcome waits for the
	// store to be opened again.
	repairTimeout = 3 * time.Second
)

// repair closes the engine that has failed and opens it again, after the last
// call under way has left. It tries until it succeeds or the store is closed,
// with a growing pause, and opens nothing as long as the next file could not
// be made: each opening that fails leaves goroutines behind.
func (s *Store) repair(f *fault) {
	defer close(f.repaired)
	defer s.caught(new(error)) // the store stays out of use then
	s.uses.Load().end()
	_ = s.writer.awaitQueue() // the store refuses it, which is an answer, too
	if err := s.closeEngine(); err != nil {
		s.log.Warn("closing the engine that has failed", zap.String("dir", s.opts.Dir), zap.Error(err))
	}
	for pause := leastRepairPause; ; pause = min(2*pause, mostRepairPause) {
		select {
		case <-s.ending:
			return
		case <-s.opts.after(pause):
		}
		err := s.reopen(f)
		if err == nil {
			break
		}
		if errors.Is(err, errStopping) {
			return
		}
		s.log.Warn("opening the session store again", zap.String("dir", s.opts.Dir), zap.Duration("next_try", min(2*pause, mostRepairPause)), zap.Error(err))
	}
	s.log.Info("session store works again", zap.String("dir", s.opts.Dir))
}

var errStopping = errors.New("the store is being closed")

// reopen opens the engine and lets calls in. Called when no call uses it.
func (s *Store) reopen(f *fault) error {
	if err := s.space.Ready(); err != nil {
		return err
	}
	db, id, err := openDatabase(&s.opts, s.space)
	if err != nil {
		return err
	}
	s.db = db
	s.fault.Store(nil)
	if id != s.id {
		err = fmt.Errorf("another session store is in %s", s.opts.Dir)
	}
	if err == nil {
		err = errors.Join(s.endRestore(), s.convertOutbox(), s.begin(), s.space.MarkInUse())
	}
	s.life.Lock()
	switch now := s.fault.Load(); {
	case err != nil:
	case s.isClosing:
		err = errStopping
	case now != nil:
		err = now.err
	default:
		s.uses.Store(newUses())
		s.isServing = true
	}
	s.life.Unlock()
	if err != nil {
		s.fault.Store(f)
		return errors.Join(err, s.closeEngine())
	}
	return nil
}

// closeEngine closes the engine, and gives back what was held for it. It takes
// as long as the engine cannot write what it has in memory.
func (s *Store) closeEngine() error {
	if s.db == nil {
		return nil
	}
	db := s.db
	s.db = nil
	s.space.Closing()
	return errors.Join(disk.UnmarkAround(s.opts.Dir, db.Close), s.space.Closed())
}

// awaitRepair comes before the answer that the outcome of a write is unknown,
// and after the call has left the engine: callers repeat the write, whose
// version tells, and most causes are gone as fast as they came.
func (s *Store) awaitRepair(ctx context.Context, err *error) {
	f := s.fault.Load()
	if f == nil || !errors.Is(*err, store.ErrUnknown) {
		return
	}
	select {
	case <-ctx.Done():
	case <-s.opts.after(repairTimeout):
	case <-f.repaired:
	}
}

// inflight counts the calls under way, so that nothing is closed under them:
// Badger's iterators and values fault, unrecoverably, when they outlive it.
type inflight struct {
	n    atomic.Int64
	idle chan struct{} // closed when the last call has left after end
	once sync.Once     // of closing idle: a call that came too late leaves, too
}

func newUses() *inflight { return &inflight{idle: make(chan struct{})} }

// ended is far below any number of calls.
const ended = -1 << 40

// begin counts a call in, unless end was called.
func (u *inflight) begin() bool {
	if u.n.Add(1) > 0 {
		return true
	}
	u.done()
	return false
}

func (u *inflight) done() {
	if u.n.Add(-1) == ended {
		u.once.Do(func() { close(u.idle) })
	}
}

// end lets no further call in and waits for those under way.
func (u *inflight) end() {
	for {
		n := u.n.Load()
		if n < 0 {
			return
		}
		if u.n.CompareAndSwap(n, n+ended) {
			if n > 0 {
				<-u.idle
			}
			return
		}
	}
}
