package badgerstore

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/dgraph-io/badger/v4"
)

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
