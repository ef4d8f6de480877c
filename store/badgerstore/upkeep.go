package badgerstore

import (
	"context"
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/panics"
)

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
			s.log.Error("keeping up session store", zap.String("dir", s.opts.Dir), zap.Error(err))
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
