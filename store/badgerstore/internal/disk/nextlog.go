package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/rawfiles"
)

const (
	// lastTransaction is what a log takes at most behind the size of a
	// memtable, where the engine goes on to the next one.
	lastTransaction = 4 << 20
	// entryCost and commitCost are at least what the engine adds to an entry
	// and to a transaction, in its log and in its memtable, on the average.
	entryCost, commitCost = 48, 96
)

// nextLog makes the engine's next log before the engine does. The file is
// empty, so that the engine takes it for a new one, and its blocks are
// Allocated: a page of it that is written to cannot be missing, whatever else
// takes the disk. Neither inode nor space is needed when the log is begun.
type nextLog struct {
	dir          string
	memTableSize int

	mu      sync.Mutex
	id      int   // of the next log; protected by mu
	made    bool  // protected by mu
	written int   // at least what the log in use holds; protected by mu
	failed  error // why the next log could not be made; protected by mu
	sparse  bool  // the file system cannot allocate; protected by mu
	begun   []int // as InUseFile has them; protected by mu
	marked  bool  // the store is open, and InUseFile is there; protected by mu
	warn    func(error)
}

// opened follows the opening of the engine, which has begun a log.
func (l *nextLog) opened() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids, err := rawfiles.Logs(l.dir)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return fmt.Errorf("the engine has no log in %s", l.dir)
	}
	l.id, l.made, l.written, l.marked = ids[len(ids)-1], false, 0, false
	for _, name := range []string{l.path(), filepath.Join(l.dir, badger.ManifestFilename), filepath.Join(l.dir, "DISCARD")} {
		space := int64(1 << 20)
		if name == l.path() {
			space = l.space()
		}
		if err := l.allocateFile(name, os.O_RDWR, space); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	l.id++
	return l.make()
}

// space is what the engine writes of a log.
func (l *nextLog) space() int64 { return int64(l.memTableSize) + lastTransaction }

func (l *nextLog) path() string { return filepath.Join(l.dir, rawfiles.LogName(l.id)) }

// make makes the next log, if there is none. Called with mu held.
func (l *nextLog) make() error {
	if l.made {
		return nil
	}
	l.failed = l.allocateFile(l.path(), os.O_RDWR|os.O_CREATE, l.space())
	l.made = l.failed == nil
	return l.failed
}

func (l *nextLog) allocateFile(name string, flags int, space int64) error {
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return fmt.Errorf("making the next log: %w", err)
	}
	err = allocate(f, space)
	if errors.Is(err, errors.ErrUnsupported) {
		if !l.sparse {
			l.sparse = true
			l.warn(err)
		}
		err = nil
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("allocating disk space for %s: %w", filepath.Base(name), err)
	}
	return nil
}

// look finds out whether the engine has begun the next log, and makes the one
// after it.
func (l *nextLog) look() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.made {
		info, err := os.Stat(l.path())
		switch {
		case errors.Is(err, fs.ErrNotExist):
			l.made = false // files are removed here from outside
		case err != nil:
			return fmt.Errorf("looking at the next log: %w", err)
		case info.Size() > 0:
			l.id, l.made, l.written = l.id+1, false, 0
		}
	}
	l.follow()
	return l.make()
}

// wrote counts what is in the log in use. It counts too much rather than too little.
func (l *nextLog) wrote(bytes, keys int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written += bytes + keys*entryCost + commitCost
}

// mayEnd reports whether a transaction of that size may be the first of the next log.
func (l *nextLog) mayEnd(bytes, keys int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written+bytes+keys*entryCost+commitCost >= l.memTableSize
}

// isSparse reports whether pages of the log may be missing.
func (l *nextLog) isSparse() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sparse
}

// discard removes the log that was made and not begun.
func (l *nextLog) discard() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.made {
		return nil
	}
	l.made = false
	return removeEmpty(l.path())
}

// RemoveEmptyLogs removes logs that were made and never begun, which the
// engine does not open. Another process that has the store open keeps its own.
func RemoveEmptyLogs(dir string) error {
	unlock, err := TryLock(dir)
	if err != nil || unlock == nil {
		return err
	}
	defer unlock()
	ids, err := rawfiles.Logs(dir)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := removeEmpty(filepath.Join(dir, rawfiles.LogName(id))); err != nil {
			return err
		}
	}
	return nil
}

func removeEmpty(name string) error {
	info, err := os.Stat(name)
	if err == nil && info.Size() == 0 {
		err = os.Remove(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing an empty log: %w", err)
	}
	return nil
}
