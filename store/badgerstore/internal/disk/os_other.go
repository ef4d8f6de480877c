//go:build !linux && !darwin && !freebsd

package disk

import (
	"errors"
	"fmt"
	"io/fs"
)

// spareFile takes nothing: descriptors are not scarce here.
func spareFile() (int, error) { return 0, nil }

func closeSpare(int) {}

// TryLock takes no lock: a file that is open cannot be removed here.
func TryLock(string) (unlock func(), err error) { return func() {}, nil }

// freeSpace cannot tell on this system.
func freeSpace(string) (int64, error) {
	return 0, fmt.Errorf("free disk space cannot be told on this system: %w", errors.ErrUnsupported)
}

// freeInodes cannot tell on this system.
func freeInodes(string) (int64, error) { return -1, nil }

// Allocated returns about what a file takes on the disk.
func Allocated(info fs.FileInfo) int64 { return info.Size() }
