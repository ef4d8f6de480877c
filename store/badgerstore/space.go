package badgerstore

import (
	"fmt"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
)

// space watches the disk. Badger maps sparse files into memory, and a page
// that the file system cannot back is a SIGBUS, which no code survives; so
// writing stops while there is still a reserve, and goes on by itself.
type space struct {
	opts   *Options
	free   atomic.Int64
	isLow  atomic.Bool
	failed atomic.Bool // the last look could not tell
	unseen int         // bytes written since the last look; the writer's alone
}

// lookBytes is how much is written before the next look: within a second,
// large records on a fast disk could use up the reserve.
const lookBytes = 8 << 20

// wrote notes what the writer has written.
func (s *space) wrote(bytes int) {
	if s.unseen += bytes; s.unseen >= lookBytes {
		s.unseen = 0
		s.look()
	}
}

// look asks for the free space and notes whether it is below the reserve.
func (s *space) look() {
	free, err := s.opts.free(s.opts.Dir)
	if err != nil {
		if !s.failed.Swap(true) {
			s.opts.Logger.Warn("looking for free disk space: the reserve is not watched",
				zap.String("dir", s.opts.Dir), zap.Error(err))
		}
		return
	}
	s.failed.Store(false)
	s.free.Store(free)
	low := free < s.opts.Reserve
	if s.isLow.Swap(low) == low {
		return
	}
	fields := []zap.Field{zap.String("dir", s.opts.Dir), zap.Int64("free_bytes", free), zap.Int64("reserve_bytes", s.opts.Reserve)}
	if low {
		s.opts.Logger.Error("disk space is below the reserve: session writes are refused until there is more", fields...)
	} else {
		s.opts.Logger.Info("disk space is above the reserve again: session writes are accepted", fields...)
	}
}

// short returns an error while space is below the reserve.
func (s *space) short() error {
	if !s.isLow.Load() {
		return nil
	}
	return s.opts.lowSpace(s.free.Load())
}

// veryShort returns an error while half of the reserve is used up.
func (s *space) veryShort() error {
	if !s.isLow.Load() || s.free.Load() >= s.opts.Reserve/2 {
		return nil
	}
	return s.opts.lowSpace(s.free.Load())
}

func (o *Options) lowSpace(free int64) error {
	return fmt.Errorf("%s has %d MiB of free space, and the reserve is %d MiB: free some, or lower `reserve`: %w",
		o.Dir, free>>20, o.Reserve>>20, store.ErrUnavailable)
}
