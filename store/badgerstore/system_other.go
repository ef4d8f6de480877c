//go:build !linux && !darwin && !freebsd

package badgerstore

// spareFile takes nothing: descriptors are not scarce here.
func spareFile() (int, error) { return 0, nil }

func closeSpare(int) {}

// tryLock takes no lock: a file that is open cannot be removed here.
func tryLock(string) (unlock func(), err error) { return func() {}, nil }
