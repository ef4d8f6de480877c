package badgerstore

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"go.uber.org/zap"
)

// What the engine logs is the only sign that it gives from its own goroutines,
// and its logger runs in them. Two lines are more than text to the store; the
// tests fail if a version of the engine does not write them.
const (
	// Comes before a compaction makes a table. If it cannot, the engine goes
	// on without that table and removes the old ones: what was in it is lost.
	beforeTable = "[%d] LOG Compact. Added "
	// Comes each second while a log cannot be made a table.
	flushFailed = "error flushing memtable to disk"
)

// engineLogger passes Badger's log on. Its informational chatter is debugging to us.
type engineLogger struct {
	log   *zap.SugaredLogger
	space *space
}

func (l engineLogger) Errorf(format string, args ...any) {
	if strings.HasPrefix(format, flushFailed) {
		l.space.flushFailed.Store(since())
	}
	l.log.Errorf(format, args...)
}

func (l engineLogger) Warningf(format string, args ...any) { l.log.Warnf(format, args...) }
func (l engineLogger) Infof(format string, args ...any)    { l.log.Debugf(format, args...) }

func (l engineLogger) Debugf(format string, args ...any) {
	l.log.Debugf(format, args...)
	if strings.HasPrefix(format, beforeTable) {
		l.space.awaitTable()
	}
}

// errFalling holds compactions while another process takes the disk.
var errFalling = errors.New("free disk space is below the reserve and goes down")

// awaitTable holds a compaction until it can make its table. Meanwhile writes
// are refused, since the tables that they become would pile up.
func (s *space) awaitTable() {
	last := int64(math.MaxInt64) // free space before
	for isHeld := false; ; isHeld = true {
		err := s.tableReady()
		free := s.free.Load()
		if err == nil && s.isLow.Load() && free < last {
			err = errFalling
		}
		last = free
		if err == nil {
			if isHeld {
				s.held.Store(nil)
				s.opts.Logger.Info("compaction of the session store goes on", zap.String("dir", s.opts.Dir))
			}
			return
		}
		err = fmt.Errorf("a compaction waits until it can write: %w", explain(err))
		s.held.Store(&err)
		if !isHeld {
			s.opts.Logger.Warn("compaction of the session store is held until it can write", zap.String("dir", s.opts.Dir), zap.Error(err))
		}
		time.Sleep(heldPause)
	}
}

// tableReady returns why a compaction could not write its tables.
func (s *space) tableReady() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.sameDir(); err != nil {
		return err
	}
	if err := enoughFiles(tableFiles); err != nil {
		return err
	}
	if err := s.count(); err != nil {
		return err
	}
	switch inodes := s.inodes.Load(); {
	case s.isBlind:
		return nil
	case s.free.Load() < min(tableSpace, s.opts.Reserve/2):
		return s.opts.lowSpace(s.free.Load())
	case inodes >= 0 && inodes < tableInodes:
		return s.opts.lowInodes(inodes)
	}
	return nil
}

// ready returns why the engine should not be opened now.
func (s *space) ready() error {
	if err := s.tableReady(); err != nil {
		return explain(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.low()
}
