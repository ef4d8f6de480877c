package disk

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

// Guard watches what the engine needs to write: the directory that was opened,
// disk space, inodes and file descriptors. Badger maps sparse files into
// memory, and a page that the file system cannot back is a SIGBUS, which no
// code survives; a file that it cannot make leaves it unusable. So writing
// stops while there is still a reserve, and goes on by itself.
type Guard struct {
	config Config
	next   nextLog
	spares spares

	free, inodes atomic.Int64
	isLow        atomic.Bool           // space or inodes are below the reserve
	refused      atomic.Pointer[error] // why nothing can be written at all; nil if it can
	held         atomic.Pointer[error] // why a compaction waits; nil if none does
	flushFailed  atomic.Int64          // when the engine could not write a table; see now
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
	// flushTables is how many memtables the tables take that are still to be
	// written when a log ends: with less, no log is brought to its end.
	flushTables = 6
	// tableSpace and tableInodes have to be there before a compaction makes a
	// table. It makes several at once.
	tableSpace  = 64 << 20
	tableInodes = 32
	// LeastInodes is the reserve of inodes.
	LeastInodes = 256
	// flushPause is longer than the engine's pause between two attempts.
	flushPause = 1500 * time.Millisecond
	heldPause  = 250 * time.Millisecond
)

// now is in the units of lookedAt and flushFailed.
func (s *Guard) now() int64 { return int64(s.config.Clock()) }

// Opened follows the opening of the engine, before anything is written to it.
func (s *Guard) Opened() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir, err := os.Stat(s.config.Dir)
	if err == nil {
		s.dir, s.isOpen = dir, true
		s.flushFailed.Store(0)
		err = errors.Join(s.spares.hold(), s.next.opened())
	}
	if err != nil {
		return s.config.Explain(err)
	}
	return nil
}

// Closing comes before the engine is closed, closed after it.
func (s *Guard) Closing() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isOpen = false
	s.spares.release()
}

// Closed removes the log that was made ahead: the engine has closed.
func (s *Guard) Closed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next.discard()
}

// Refresh notes what is there, and logs when that changes what is accepted.
func (s *Guard) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookedAt.Store(s.now())
	err := s.lookFor()
	if err != nil {
		err = fmt.Errorf("session store %s cannot be written to: %w: %w", s.config.Dir, s.config.Explain(err), store.ErrUnavailable)
		s.refused.Store(&err)
	} else {
		s.refused.Store(nil)
	}
	if s.isRefused == (err != nil) {
		return
	}
	if s.isRefused = err != nil; s.isRefused {
		s.config.Logger.Error("session store cannot be written to: session writes are refused until it can", zap.String("dir", s.config.Dir), zap.Error(err))
	} else {
		s.config.Logger.Info("session store can be written to again: session writes are accepted", zap.String("dir", s.config.Dir))
	}
}

// lookFor returns why nothing can be written. Called with mu held.
func (s *Guard) lookFor() error {
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
	if at := s.flushFailed.Load(); at != 0 && s.now()-at < int64(flushPause) {
		return errors.New("the engine cannot write a table: the log says why")
	}
	return s.Held()
}

// sameDir tells whether the directory is still the one that was opened. Called
// with mu held.
func (s *Guard) sameDir() error {
	if s.dir == nil {
		return nil
	}
	dir, err := os.Stat(s.config.Dir)
	switch {
	case err != nil:
		return fmt.Errorf("the directory is gone: bring it back (is its disk mounted?), and restart: %w", err)
	case !os.SameFile(s.dir, dir):
		return errors.New("the directory is another one than the one that was opened: bring that one back, or restart to use this one")
	}
	if _, err := os.Stat(filepath.Join(s.config.Dir, badger.ManifestFilename)); err != nil {
		return fmt.Errorf("the files of the store are gone: %w", err)
	}
	return nil
}

// count notes free space and inodes. Called with mu held.
func (s *Guard) count() error {
	free, err := s.config.Free(s.config.Dir)
	if errors.Is(err, errors.ErrUnsupported) {
		if !s.isBlind {
			s.isBlind = true
			s.config.Logger.Warn("the reserve of disk space is not watched", zap.String("dir", s.config.Dir), zap.Error(err))
		}
		return nil
	}
	if err != nil {
		return err
	}
	inodes, err := s.config.Inodes(s.config.Dir)
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
		zap.String("dir", s.config.Dir), zap.Int64("free_bytes", free), zap.Int64("reserve_bytes", s.config.Reserve),
		zap.Int64("free_inodes", max(0, inodes)),
	}
	if low {
		s.config.Logger.Error("disk space is below the reserve: session writes are refused until there is more", fields...)
	} else {
		s.config.Logger.Info("disk space is above the reserve again: session writes are accepted", fields...)
	}
	return nil
}

// low says what was below the reserve at the last look.
func (s *Guard) low() error {
	if free := s.free.Load(); free < s.config.Reserve {
		return s.lowSpace(free)
	}
	if n := s.inodes.Load(); n >= 0 && n < LeastInodes {
		return s.lowInodes(n)
	}
	return nil
}

// Refusal returns why nothing at all can be written, or nil.
func (s *Guard) Refusal() error {
	if err := s.refused.Load(); err != nil {
		return *err
	}
	return nil
}

// CheckReserve returns an error while sessions cannot be saved.
func (s *Guard) CheckReserve() error {
	if err := s.Refusal(); err != nil {
		return err
	}
	if !s.isLow.Load() {
		return nil
	}
	return s.low()
}

// CheckHalfReserve returns an error while half of the reserve is used up.
func (s *Guard) CheckHalfReserve() error {
	if err := s.Refusal(); err != nil {
		return err
	}
	if !s.isLow.Load() || s.free.Load() >= s.config.Reserve/2 && (s.inodes.Load() < 0 || s.inodes.Load() >= LeastInodes/2) {
		return nil
	}
	return s.low()
}

// TableFailed notes that the engine could not write a table.
func (s *Guard) TableFailed() { s.flushFailed.Store(s.now()) }

// NextLog returns the path of the log that was made ahead.
func (s *Guard) NextLog() string {
	s.next.mu.Lock()
	defer s.next.mu.Unlock()
	return s.next.path()
}

// MayEnd reports whether a commit of that size may end the log in use.
func (s *Guard) MayEnd(bytes, keys int) bool { return s.next.mayEnd(bytes, keys) }

// MarkInUse follows the opening of the store: see InUseFile.
func (s *Guard) MarkInUse() error { return s.next.markInUse() }

// Watch comes before each batch: it looks, unless that was done just now.
func (s *Guard) Watch() { s.watch(lookInterval) }

// watch looks, unless that was done within the interval.
func (s *Guard) watch(interval time.Duration) {
	if s.now()-s.lookedAt.Load() >= int64(interval) {
		s.Refresh()
	}
}

// Admit comes before a commit of that size. A log is not brought to its end
// when the table that is made of it may find no space: within a log, every
// page is there already, so that users can log out on a full disk.
func (s *Guard) Admit(bytes, keys int) error {
	ends := s.next.mayEnd(bytes, keys)
	if ends {
		s.watch(endInterval)
	}
	if err := s.Refusal(); err != nil {
		return err
	}
	if s.isLow.Load() && (ends || s.next.isSparse()) && (s.free.Load() < min(int64(flushTables*s.config.MemTableSize), s.config.Reserve/2) || s.inodes.Load() >= 0 && s.inodes.Load() < tableInodes) {
		return s.low()
	}
	if ends {
		s.spares.lend() // the engine may need one now
	}
	return nil
}

// Wrote follows a commit.
func (s *Guard) Wrote(bytes, keys int) {
	ended := s.next.mayEnd(bytes, keys)
	s.next.wrote(bytes, keys)
	if ended {
		_ = s.spares.hold() // or the next look finds that they are missing
		s.watch(endInterval)
	}
}
