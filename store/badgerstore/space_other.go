//go:build !linux && !darwin && !freebsd

package badgerstore

import (
	"errors"
	"io/fs"
)

// freeSpace cannot tell on this system.
func freeSpace(string) (int64, error) {
	return 0, errors.New("free disk space cannot be told on this system")
}

// allocated returns about what a file takes on the disk.
func allocated(info fs.FileInfo) int64 { return info.Size() }
