package disk

import (
	"errors"
	"fmt"
	"math"
	"time"

	"go.uber.org/zap"
)

// ErrFalling holds compactions while another process takes the disk.
var ErrFalling = errors.New("free disk space is below the reserve and goes down")

// AwaitTable holds a compaction until it can make its table. Meanwhile writes
// are refused, since the tables that they become would pile up.
func (s *Guard) AwaitTable() {
	last := int64(math.MaxInt64) // free space before
	for isHeld := false; ; isHeld = true {
		err := s.tableReady()
		free := s.free.Load()
		if err == nil && s.isLow.Load() && free < last {
			err = ErrFalling
		}
		last = free
		if err == nil {
			if isHeld {
				s.held.Store(nil)
				s.config.Logger.Info("compaction of the session store goes on", zap.String("dir", s.config.Dir))
			}
			return
		}
		err = fmt.Errorf("a compaction waits until it can write: %w", s.config.Explain(err))
		s.held.Store(&err)
		if !isHeld {
			s.config.Logger.Warn("compaction of the session store is held until it can write", zap.String("dir", s.config.Dir), zap.Error(err))
		}
		time.Sleep(heldPause)
	}
}

// tableReady returns why a compaction could not write its tables.
func (s *Guard) tableReady() error {
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
	case s.free.Load() < min(tableSpace, s.config.Reserve/2):
		return s.lowSpace(s.free.Load())
	case inodes >= 0 && inodes < tableInodes:
		return s.lowInodes(inodes)
	}
	return nil
}

// Ready returns why the engine should not be opened now.
func (s *Guard) Ready() error {
	if err := s.tableReady(); err != nil {
		return s.config.Explain(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.low()
}
