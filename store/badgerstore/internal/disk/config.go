package disk

import (
	"math"
	"time"

	"go.uber.org/zap"
)

// Config is what a Guard has to know.
type Config struct {
	Dir     string
	Reserve int64 // of free space, in bytes
	// MemTableSize is that of the engine, which ends a log behind it.
	MemTableSize int
	Logger       *zap.Logger
	// Explain adds the remedy to what the system answers.
	Explain func(error) error
	// Free tells the free space of the directory's file system in bytes, and
	// Inodes how many files can be made, or less than 0 if it does not count.
	// Default: as the system tells.
	Free, Inodes func(dir string) (int64, error)
	// Clock is never set. Default: that of the process.
	Clock func() time.Duration
}

// New returns the guard of a store that is about to be opened.
func New(c Config) *Guard {
	if c.Free == nil {
		c.Free = freeSpace
	}
	if c.Inodes == nil {
		c.Inodes = freeInodes
	}
	if c.Clock == nil {
		began := time.Now()
		c.Clock = func() time.Duration { return time.Since(began) }
	}
	g := &Guard{config: c}
	g.lookedAt.Store(math.MinInt64 / 2)
	g.next.dir, g.next.memTableSize = c.Dir, c.MemTableSize
	g.next.warn = func(err error) {
		c.Logger.Warn("the file system of the session store cannot allocate disk space ahead: should it be full at once, the process ends",
			zap.String("dir", c.Dir), zap.Error(err))
	}
	return g
}
