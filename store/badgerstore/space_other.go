//go:build !linux && !darwin && !freebsd

package badgerstore

import "errors"

// freeSpace cannot tell on this system.
func freeSpace(string) (int64, error) {
	return 0, errors.New("free disk space cannot be told on this system")
}
