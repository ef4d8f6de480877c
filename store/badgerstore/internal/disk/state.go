package disk

import (
	"fmt"

	"github.com/sessionproxy/sessionproxy/store"
)

// Free is the free space in bytes at the last look.
func (s *Guard) Free() int64 { return s.free.Load() }

// Inodes is how many files could be made at the last look, or less than 0.
func (s *Guard) Inodes() int64 { return s.inodes.Load() }

// IsLow reports whether space or inodes were below the reserve.
func (s *Guard) IsLow() bool { return s.isLow.Load() }

// Held returns why a compaction waits, or nil.
func (s *Guard) Held() error {
	if err := s.held.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *Guard) lowSpace(free int64) error {
	return fmt.Errorf("%s has %d MiB of free space, and the reserve is %d MiB: free some, or lower `reserve`: %w",
		s.config.Dir, free>>20, s.config.Reserve>>20, store.ErrUnavailable)
}

func (s *Guard) lowInodes(free int64) error {
	return fmt.Errorf("the file system of %s has %d free inodes, and the store needs %d: remove files that are not needed (`df -i`): %w",
		s.config.Dir, free, LeastInodes, store.ErrUnavailable)
}
