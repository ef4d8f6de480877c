package badgerstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/disk"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/panics"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/rawfiles"
)

// openDatabase opens the engine behind the guards that keep it from losing
// data silently, or taking the process down. id is that of what is in it.
func openDatabase(o *Options, s *disk.Guard) (db *badger.DB, id string, err error) {
	wrap := func(err error) error { return fmt.Errorf("opening session store %s: %w", o.Dir, explain(err)) }
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, "", wrap(err)
	}
	if info, err := os.Stat(o.Dir); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		o.Logger.Warn("the directory of the session store can be read by others: chmod 700", zap.String("dir", o.Dir))
	}
	if err := checkKinds(o.Dir); err != nil {
		return nil, "", wrap(err)
	}
	if err := s.Ready(); err != nil {
		return nil, "", wrap(err)
	}
	mark, err := readMarker(o.Dir)
	if err != nil {
		return nil, "", wrap(err)
	}
	if err := checkFiles(o.Dir, mark != nil); err != nil {
		return nil, "", wrap(err)
	}
	if err := disk.RemoveEmptyLogs(o.Dir); err != nil {
		return nil, "", wrap(err)
	}
	db, err = openEngine(o, s)
	if err != nil {
		return nil, "", wrap(err)
	}
	if err = s.Opened(); err == nil {
		err = panics.Catch(func() (err error) { id, err = identify(db, o, mark); return err })
	}
	if err != nil {
		return nil, "", errors.Join(wrap(err), o.abandon(db, s))
	}
	return db, id, nil
}

// openEngine turns a panic of the engine into an error.
func openEngine(o *Options, s *disk.Guard) (db *badger.DB, err error) {
	err = panics.Catch(func() (err error) { db, err = badger.Open(o.badger(s)); return err })
	return db, err
}

// abandon closes an engine that was opened in vain, for as long as a close may take.
func (o *Options) abandon(db *badger.DB, s *disk.Guard) error {
	done := make(chan error, 1)
	go func() {
		s.Closing()
		err := panics.Catch(db.Close)
		if err == nil { // its logs are tables now, and no opening is to miss them
			err = disk.MarkClosed(o.Dir)
		}
		done <- errors.Join(err, s.Closed())
	}()
	select {
	case err := <-done:
		return err
	case <-o.after(o.CloseTimeout):
		return fmt.Errorf("closing the engine took longer than %v; restart the process if the store does not open again", o.CloseTimeout)
	}
}

// checkKinds refuses a directory with pipes and the like, whatever their names
// are: to open one would wait for its other end for ever.
func checkKinds(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return fmt.Errorf("%s: %w: remove it", e.Name(), rawfiles.ErrNotRegular)
		}
	}
	return nil
}

// checkFiles looks at the files before the engine does: without its MANIFEST
// it would begin anew and remove every table, and a table of zeros is a panic
// in a goroutine of its own.
func checkFiles(dir string, marked bool) error {
	tables, err := rawfiles.Files(dir, "*.sst")
	if err != nil {
		return err
	}
	logs, err := rawfiles.Files(dir, "*.mem")
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

// Remedies of what the engine refuses.
const (
	restore = "`sessionproxy sessions salvage <dir> <file>` writes what can be read of it to a backup; " +
		"restore that or another one into an empty directory, or move this one away to begin with no sessions"
	held     = "another process has it open: stop that one, or use its `reload` for a new configuration"
	otherKey = "the encryption key is not the one this store was created with: set encryption_key to that one"
)

// causes are what the system says, and what to do. None of them is a reason to
// give up a directory, which would lose all sessions.
var causes = []struct {
	errno  syscall.Errno
	remedy string
}{
	{syscall.ENFILE, "this machine has too many open files: raise `fs.file-max`"}, // its text begins as that of the next
	{syscall.EMFILE, "this process has too many open files: raise `LimitNOFILE=` of its systemd unit, or `ulimit -n`"},
	{syscall.EROFS, "its file system is read-only: mount it for writing, and look in the kernel's log why it was not"},
	{syscall.ENOSPC, "its file system is full: free space or inodes (`df`, `df -i`)"},
	{syscall.EDQUOT, "the quota of its file system is used up: raise it, or free some"},
	{syscall.EIO, "its disk fails: look in the kernel's log, and copy the directory to another disk"},
	{syscall.ENOMEM, "the system has no memory or no memory maps left: raise the limit, or `vm.max_map_count`"},
	{syscall.EACCES, "directory and files must belong to the user that runs the proxy"},
	{syscall.EPERM, "directory and files must belong to the user that runs the proxy"},
	{syscall.ENOTDIR, "a file is where a directory should be: remove it, or choose another directory"},
}

// damages are what the engine says of files that are damaged or missing.
var damages = []string{
	"checksum mismatch", "file does not exist for table", "bad magic", "Failed to read", "failed to read index",
	"MANIFEST invalid", "MANIFEST removes", "unsupported version", "Unable to parse", "Block does not", "corrupt", "Corrupt", "unexpected EOF",
}

// isHeld reports whether an opening was refused since another process has the
// directory open.
func isHeld(err error) bool { return strings.Contains(err.Error(), held) }

// explain adds the remedy to what the system or the engine answers.
func explain(err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, held), strings.Contains(text, otherKey):
		return err // it has one already
	case strings.Contains(text, "Cannot acquire directory lock"):
		return fmt.Errorf("%s: %w", held, err)
	case errors.Is(err, badger.ErrEncryptionKeyMismatch) || strings.Contains(text, "Encryption key mismatch"):
		return fmt.Errorf("%s: %w", otherKey, err)
	}
	for _, c := range causes { // the engine keeps the text alone
		if strings.Contains(text, c.remedy) {
			return err
		}
		if errors.Is(err, c.errno) || strings.Contains(text, c.errno.Error()) {
			return fmt.Errorf("%s: %w", c.remedy, err)
		}
	}
	for _, d := range damages {
		if strings.Contains(text, d) && !strings.Contains(text, restore) {
			return fmt.Errorf("%w: %s", err, restore)
		}
	}
	return err
}

// The engine cuts a damaged log at the damage when it opens, without a word,
// and does not miss a log that is not there: sessions that were acknowledged
// would be gone in silence. So the logs are looked at before.

// damagedLogs returns what is wrong with the logs of a directory that is not
// open: one line for each. A log that ends in the middle of a write is as a
// crash leaves it, and is not wrong: that write was not acknowledged.
func damagedLogs(dir string, key []byte) (faults []string, err error) {
	ids, err := rawfiles.Logs(dir)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		name := rawfiles.LogName(id)
		b, err := rawfiles.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("looking at a log: %w", err)
		}
		if at, damaged := rawfiles.DamageIn(b); damaged {
			faults = append(faults, fmt.Sprintf("%s is damaged at byte %d, and what was written behind that is lost", name, at))
		}
	}
	missing, err := missingLogs(dir, key)
	return append(faults, missing...), err
}

// missingLogs returns which logs are not there that should be: one line for
// each. key is that of the encryption.
func missingLogs(dir string, key []byte) (faults []string, err error) {
	listed, inUse, err := disk.ReadInUse(dir)
	if err != nil || !inUse {
		return nil, err
	}
	begun, err := rawfiles.BegunLogs(dir)
	if err != nil {
		return nil, err
	}
	if len(begun) == 0 {
		return []string{"the log that was in use is missing, and what was written to it is lost"}, nil
	}
	for _, id := range listed {
		if slices.Contains(begun, id) {
			continue
		}
		next := slices.IndexFunc(begun, func(other int) bool { return other > id })
		if next >= 0 {
			// The engine may have removed it just before the crash: then its
			// last version, which is the one before the next log, is in a table.
			// What cannot be found out counts as that: the opening will be refused.
			if files, err := rawfiles.Open(dir, key); err != nil || files.IsFlushed(begun[next]) {
				continue
			}
		}
		faults = append(faults, rawfiles.LogName(id)+" is missing, and what was written to it is lost")
	}
	return faults, nil
}

// reportLogs tells what was found wrong with the logs, once for each opening.
func (s *Store) reportLogs(faults []string) {
	s.damagedLogs.Add(int64(len(faults)))
	for _, fault := range faults {
		s.log.Error("acknowledged sessions are lost: "+fault+"; check the disk and what removes files here, and restore a backup if the sessions are missed",
			zap.String("dir", s.opts.Dir))
	}
}
