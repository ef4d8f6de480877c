package disk

import (
	"fmt"
	"sync"
)

const (
	// spareFiles is how many descriptors a store keeps for its engine: for
	// the next log, and for the table that the log before becomes.
	spareFiles = 8
	// lentFiles of them are given back when the engine may make its next log.
	lentFiles = 2
	// tableFiles is how many descriptors must be free before a compaction
	// makes a table: it makes several at once.
	tableFiles = 32
)

// spares holds file descriptors, so that connections cannot take the last
// ones: they are given back just before the engine needs them.
type spares struct {
	mu    sync.Mutex
	files []int // protected by mu
}

// hold takes what is missing. It fails when the process has no more.
func (s *spares) hold() error { return s.take(spareFiles) }

func (s *spares) take(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.files) < n {
		fd, err := spareFile()
		if err != nil {
			return fmt.Errorf("keeping %d file descriptors in reserve: %w", n, err)
		}
		s.files = append(s.files, fd)
	}
	return nil
}

// lend gives some back, until the next hold.
func (s *spares) lend() { s.leave(spareFiles - lentFiles) }

// release gives all back.
func (s *spares) release() { s.leave(0) }

func (s *spares) leave(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.files) > n {
		last := len(s.files) - 1
		closeSpare(s.files[last])
		s.files = s.files[:last]
	}
}

// enoughFiles returns an error if fewer descriptors than that are free.
func enoughFiles(n int) error {
	var s spares
	defer s.release()
	return s.take(n)
}
