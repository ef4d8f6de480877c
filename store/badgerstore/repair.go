package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
)

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
	_ = s.writer.do(context.Background(), new(op)) // it has answered all before
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

// reopen opens the engine and lets calls in. Called when nobody uses it.
func (s *Store) reopen(f *fault) error {
	if err := s.space.ready(); err != nil {
		return err
	}
	db, id, err := openDatabase(&s.opts, &s.space)
	if err != nil {
		return err
	}
	s.db = db
	s.fault.Store(nil)
	if id != s.id {
		err = fmt.Errorf("another session store is in %s", s.opts.Dir)
	}
	if err == nil {
		err = errors.Join(s.endRestore(), s.convertOutbox(), s.begin(), s.space.next.markInUse())
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
	s.space.closing()
	return errors.Join(unmarkAround(s.opts.Dir, db.Close), s.space.closed())
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
