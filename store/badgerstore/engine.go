package badgerstore

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
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
		*err = panicked(p)
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

// guarded makes an error of a panic.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	return f()
}

// panicked makes an error of what was recovered. Text that is not the
// runtime's may hold data of sessions.
func panicked(p any) error { return panicOf("the engine", p) }

// panicOf tells of a panic without its value, which may hold anything.
func panicOf(what string, p any) error {
	if err, ok := p.(runtime.Error); ok {
		return fmt.Errorf("%s panicked: %w", what, err)
	}
	return fmt.Errorf("%s panicked with a %T", what, p)
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
	return s.space.refusal()
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
