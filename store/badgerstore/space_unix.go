//go:build linux || darwin || freebsd

package badgerstore

import (
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

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

// allocated returns what a file takes on the disk, without its holes.
func allocated(info fs.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return info.Size()
}
