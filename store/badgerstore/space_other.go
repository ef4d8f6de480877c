//go:build !linux && !darwin && !freebsd

package badgerstore

import (
	"errors"
	"fmt"
	"io/fs"
)

// freeSpace cannot tell on this system.
func freeSpace(string) (int64, error) {
	return 0, fmt.Errorf("free disk space cannot be told on this system: %w", errors.ErrUnsupported)
}

// freeInodes cannot tell on this system.
func freeInodes(string) (int64, error) { return -1, nil }

// allocated returns about what a file takes on the disk.
func allocated(info fs.FileInfo) int64 { return info.Size() }
