//go:build linux || darwin || freebsd

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// spareFile takes a file descriptor.
func spareFile() (int, error) {
	fd, err := unix.FcntlInt(os.Stderr.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if errors.Is(err, unix.EBADF) { // it was closed
		fd, err = unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	return fd, err //nolint:wrapcheck // the caller says what for
}

func closeSpare(fd int) { _ = unix.Close(fd) }

// TryLock takes the lock that the engine takes of an open directory, or
// returns nil if another process has it.
func TryLock(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}

// freeSpace returns the bytes that are free for an ordinary user.
func freeSpace(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("asking for free space of %s: %w", dir, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil //nolint:unconvert // Bsize is narrower on other systems
}

// freeInodes returns how many files an ordinary user can make, or less than 0
// on a file system that does not count them.
func freeInodes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("asking for free inodes of %s: %w", dir, err)
	}
	if s.Files == 0 {
		return -1, nil
	}
	return int64(s.Ffree), nil
}

// Allocated returns what a file takes on the disk, without its holes.
func Allocated(info fs.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return info.Size()
}
