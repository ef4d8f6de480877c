package badgerstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"
)

// openDatabase opens the engine behind the guards that keep it from losing
// data silently, or taking the process down. id is that of what is in it.
func openDatabase(o *Options, s *space) (db *badger.DB, id string, err error) {
	wrap := func(err error) error { return fmt.Errorf("opening session store %s: %w", o.Dir, explain(err)) }
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, "", wrap(err)
	}
	if info, err := os.Stat(o.Dir); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		o.Logger.Warn("the directory of the session store can be read by others: chmod 700", zap.String("dir", o.Dir))
	}
	if err := s.ready(); err != nil {
		return nil, "", wrap(err)
	}
	mark, err := readMarker(o.Dir)
	if err != nil {
		return nil, "", wrap(err)
	}
	if err := checkFiles(o.Dir, mark != nil); err != nil {
		return nil, "", wrap(err)
	}
	if err := removeEmptyLogs(o.Dir); err != nil {
		return nil, "", wrap(err)
	}
	db, err = openEngine(o, s)
	if err != nil {
		return nil, "", wrap(err)
	}
	if err = s.opened(); err == nil {
		err = guarded(func() (err error) { id, err = identify(db, o, mark); return err })
	}
	if err != nil {
		return nil, "", errors.Join(wrap(err), o.abandon(db, s))
	}
	return db, id, nil
}

// openEngine turns a panic of the engine into an error.
func openEngine(o *Options, s *space) (db *badger.DB, err error) {
	err = guarded(func() (err error) { db, err = badger.Open(o.badger(s)); return err })
	return db, err
}

// abandon closes an engine that was opened in vain, for as long as a close may take.
func (o *Options) abandon(db *badger.DB, s *space) error {
	done := make(chan error, 1)
	go func() {
		s.closing()
		err := guarded(db.Close)
		if err == nil { // its logs are tables now, and nobody is to miss them
			err = markClosed(o.Dir)
		}
		done <- errors.Join(err, s.closed())
	}()
	select {
	case err := <-done:
		return err
	case <-o.after(o.CloseTimeout):
		return errors.New("the engine does not close")
	}
}

// checkFiles looks at the files before the engine does: without its MANIFEST
// it would begin anew and remove every table, and a table of zeros is a panic
// in a goroutine of its own.
func checkFiles(dir string, marked bool) error {
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		return err
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil {
		return err
	}
	_, err = os.Stat(filepath.Join(dir, "MANIFEST"))
	switch {
	case errors.Is(err, fs.ErrNotExist) && (marked || len(tables)+len(logs) > 0):
		return fmt.Errorf("its MANIFEST is missing: %s", restore)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for _, table := range tables {
		if err := checkTable(table); err != nil {
			return fmt.Errorf("table %s: %w: %s", filepath.Base(table), err, restore)
		}
	}
	return nil
}

// checkTable looks at the end of a table, where the length of its checksum stands.
func checkTable(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var length [4]byte
	if info.Size() < int64(len(length)) {
		return errors.New("it is cut off")
	}
	if _, err := f.ReadAt(length[:], info.Size()-int64(len(length))); err != nil {
		return err
	}
	if n := binary.BigEndian.Uint32(length[:]); n == 0 || int64(n) > info.Size() {
		return errors.New("its end is damaged")
	}
	return nil
}
