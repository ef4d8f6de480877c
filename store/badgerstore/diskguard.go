package badgerstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
)

// diskGuard watches what the engine needs to write: the directory that was opened,
// disk space, inodes and file descriptors. Badger maps sparse files into
// memory, and a page that the file system cannot back is a SIGBUS, which no
// code survives; a file that it cannot make leaves it unusable. So writing
// stops while there is still a reserve, and goes on by itself.
type diskGuard struct {
	opts   *Options
	next   nextLog
	spares spares

	free, inodes atomic.Int64
	isLow        atomic.Bool           // space or inodes are below the reserve
	refused      atomic.Pointer[error] // why nothing can be written at all; nil if it can
	held         atomic.Pointer[error] // why a compaction waits; nil if none does
	flushFailed  atomic.Int64          // when the engine could not write a table; see since
	lookedAt     atomic.Int64          // see since

	mu        sync.Mutex  // held by the look that is under way
	dir       fs.FileInfo // of the directory that was opened; protected by mu
	isOpen    bool        // protected by mu
	isBlind   bool        // free space cannot be told here; protected by mu
	isRefused bool        // as it was logged last; protected by mu
}

const (
	// lookInterval is how old a look may be when a batch is written.
	lookInterval = time.Millisecond
	// endInterval is the same for a batch that may end the log.
	endInterval = lookInterval / 10
	// flushSpace is what tables take that are still to be written when a log
	// ends: below, no log is brought to its end.
	flushSpace = 6 * memTableSize
	// tableSpace and tableInodes have to be there before a compaction makes a
	// table. It makes several at once.
	tableSpace  = 64 << 20
	tableInodes = 32
	// leastInodes is the reserve of inodes.
	leastInodes = 256
	// flushPause is longer than the engine's pause between two attempts.
	flushPause = 1500 * time.Millisecond
	heldPause  = 250 * time.Millisecond
)

// begin sets up the watch of a store that is being opened.
func (s *diskGuard) begin(o *Options) {
	s.opts = o
	s.next.dir = o.Dir
	s.next.warn = func(err error) {
		o.Logger.Warn("the file system of the session store cannot allocate disk space ahead: should it be full at once, the process ends",
			zap.String("dir", o.Dir), zap.Error(err))
	}
}

var began = time.Now()

// since is the clock of looks, which is never set.
func since() int64 { return int64(time.Since(began)) }

// opened follows the opening of the engine, before anything is written to it.
func (s *diskGuard) opened() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir, err := os.Stat(s.opts.Dir)
	if err == nil {
		s.dir, s.isOpen = dir, true
		s.flushFailed.Store(0)
		err = errors.Join(s.spares.hold(), s.next.opened())
	}
	if err != nil {
		return explain(err)
	}
	return nil
}

// closing comes before the engine is closed, closed after it.
func (s *diskGuard) closing() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isOpen = false
	s.spares.release()
}

func (s *diskGuard) closed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next.discard()
}

// refresh notes what is there, and logs when that changes what is accepted.
func (s *diskGuard) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookedAt.Store(since())
	err := s.lookFor()
	if err != nil {
		err = fmt.Errorf("session store %s cannot be written to: %w: %w", s.opts.Dir, explain(err), store.ErrUnavailable)
		s.refused.Store(&err)
	} else {
		s.refused.Store(nil)
	}
	if s.isRefused == (err != nil) {
		return
	}
	if s.isRefused = err != nil; s.isRefused {
		s.opts.Logger.Error("session store cannot be written to: session writes are refused until it can", zap.String("dir", s.opts.Dir), zap.Error(err))
	} else {
		s.opts.Logger.Info("session store can be written to again: session writes are accepted", zap.String("dir", s.opts.Dir))
	}
}

// lookFor returns why nothing can be written. Called with mu held.
func (s *diskGuard) lookFor() error {
	if err := s.sameDir(); err != nil {
		return err
	}
	if err := s.count(); err != nil {
		return err
	}
	if !s.isOpen {
		return nil
	}
	if err := errors.Join(s.spares.hold(), s.next.look()); err != nil {
		return err
	}
	if at := s.flushFailed.Load(); at != 0 && since()-at < int64(flushPause) {
		return errors.New("the engine cannot write a table: the log says why")
	}
	if err := s.held.Load(); err != nil {
		return *err
	}
	return nil
}

// sameDir tells whether the directory is still the one that was opened. Called
// with mu held.
func (s *diskGuard) sameDir() error {
	if s.dir == nil {
		return nil
	}
	dir, err := os.Stat(s.opts.Dir)
	switch {
	case err != nil:
		return fmt.Errorf("the directory is gone: bring it back (is its disk mounted?), and restart: %w", err)
	case !os.SameFile(s.dir, dir):
		return errors.New("the directory is another one than the one that was opened: bring that one back, or restart to use this one")
	}
	if _, err := os.Stat(filepath.Join(s.opts.Dir, badger.ManifestFilename)); err != nil {
		return fmt.Errorf("the files of the store are gone: %w", err)
	}
	return nil
}

// count notes free space and inodes. Called with mu held.
func (s *diskGuard) count() error {
	free, err := s.opts.free(s.opts.Dir)
	if errors.Is(err, errors.ErrUnsupported) {
		if !s.isBlind {
			s.isBlind = true
			s.opts.Logger.Warn("the reserve of disk space is not watched", zap.String("dir", s.opts.Dir), zap.Error(err))
		}
		return nil
	}
	if err != nil {
		return err
	}
	inodes, err := s.opts.inodes(s.opts.Dir)
	if err != nil {
		return err
	}
	s.free.Store(free)
	s.inodes.Store(inodes)
	low := s.low() != nil
	if s.isLow.Swap(low) == low {
		return nil
	}
	fields := []zap.Field{
		zap.String("dir", s.opts.Dir), zap.Int64("free_bytes", free), zap.Int64("reserve_bytes", s.opts.Reserve),
		zap.Int64("free_inodes", max(0, inodes)),
	}
	if low {
		s.opts.Logger.Error("disk space is below the reserve: session writes are refused until there is more", fields...)
	} else {
		s.opts.Logger.Info("disk space is above the reserve again: session writes are accepted", fields...)
	}
	return nil
}

// low says what was below the reserve at the last look.
func (s *diskGuard) low() error {
	if free := s.free.Load(); free < s.opts.Reserve {
		return s.opts.lowSpace(free)
	}
	if n := s.inodes.Load(); n >= 0 && n < leastInodes {
		return s.opts.lowInodes(n)
	}
	return nil
}

// refusal returns why nothing at all can be written, or nil.
func (s *diskGuard) refusal() error {
	if err := s.refused.Load(); err != nil {
		return *err
	}
	return nil
}

// checkReserve returns an error while sessions cannot be saved.
func (s *diskGuard) checkReserve() error {
	if err := s.refusal(); err != nil {
		return err
	}
	if !s.isLow.Load() {
		return nil
	}
	return s.low()
}

// checkHalfReserve returns an error while half of the reserve is used up.
func (s *diskGuard) checkHalfReserve() error {
	if err := s.refusal(); err != nil {
		return err
	}
	if !s.isLow.Load() || s.free.Load() >= s.opts.Reserve/2 && (s.inodes.Load() < 0 || s.inodes.Load() >= leastInodes/2) {
		return nil
	}
	return s.low()
}

// watch looks, unless that was done just now.
func (s *diskGuard) watch(interval time.Duration) {
	if since()-s.lookedAt.Load() >= int64(interval) {
		s.refresh()
	}
}

// admit comes before a commit of that size. A log is not brought to its end
// when the table that is made of it may find no space: within a log, every
// page is there already, so that users can log out on a full disk.
func (s *diskGuard) admit(bytes, keys int) error {
	ends := s.next.mayEnd(bytes, keys)
	if ends {
		s.watch(endInterval)
	}
	if err := s.refusal(); err != nil {
		return err
	}
	if s.isLow.Load() && (ends || s.next.isSparse()) && (s.free.Load() < min(flushSpace, s.opts.Reserve/2) || s.inodes.Load() >= 0 && s.inodes.Load() < tableInodes) {
		return s.low()
	}
	if ends {
		s.spares.lend() // the engine may need one now
	}
	return nil
}

// wrote follows a commit.
func (s *diskGuard) wrote(bytes, keys int) {
	ended := s.next.mayEnd(bytes, keys)
	s.next.wrote(bytes, keys)
	if ended {
		_ = s.spares.hold() // or the next look finds that they are missing
		s.watch(endInterval)
	}
}

func (o *Options) lowSpace(free int64) error {
	return fmt.Errorf("%s has %d MiB of free space, and the reserve is %d MiB: free some, or lower `reserve`: %w",
		o.Dir, free>>20, o.Reserve>>20, store.ErrUnavailable)
}

func (o *Options) lowInodes(free int64) error {
	return fmt.Errorf("the file system of %s has %d free inodes, and the store needs %d: remove files that are not needed (`df -i`): %w",
		o.Dir, free, leastInodes, store.ErrUnavailable)
}
