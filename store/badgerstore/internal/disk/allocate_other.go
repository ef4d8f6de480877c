//go:build !linux

package disk

import (
	"errors"
	"os"
)

// allocate cannot allocate without changing the size on this system.
func allocate(*os.File, int64) error { return errors.ErrUnsupported }
