//go:build linux

package badgerstore

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sessionproxy/sessionproxy/store"
)

// noDescriptors takes all file descriptors that the process may have, as many
// connections do, until free is called.
func noDescriptors(t *testing.T) (free func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	take := func() (int, error) { return unix.FcntlInt(os.Stderr.Fd(), unix.F_DUPFD_CLOEXEC, 0) }
	highest, err := take()
	if err != nil {
		t.Fatal(err)
	}
	limit := before
	limit.Cur = uint64(highest) + 64
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	taken := []int{highest}
	for {
		fd, err := take()
		if errors.Is(err, unix.EMFILE) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, fd)
	}
	return func() {
		for _, fd := range taken {
			_ = unix.Close(fd)
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	}
}

// TestDescriptorsRunOut: writes go on with those that are kept in reserve, as
// long as they are; then they are refused, and nothing has failed.
func TestDescriptorsRunOut(t *testing.T) {
	f := openFaulty(t, t.TempDir(), nil)
	defer shut(t, f.Store)
	create(t, f.Store, keyOf(9), "x")
	free := noDescriptors(t)
	saved, err := f.fill()
	broken := f.broken()
	free()
	if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknown) || broken != nil {
		t.Fatalf("got %v, %v", err, broken)
	}
	if !strings.Contains(err.Error(), "LimitNOFILE") && !strings.Contains(err.Error(), "cannot write a table") {
		t.Errorf("no remedy: %v", err)
	}
	if len(saved) < memTableSize/(201<<10) {
		t.Errorf("%d saves: the log had room for more", len(saved))
	}
	until(t, "the recovery", func() bool { return f.writable() == nil })
	f.all(append(saved, keyOf(9)))
}

// TestOpeningWithoutDescriptors is refused before anything is made, with the
// remedy. The error of a directory is not taken for damage.
func TestOpeningWithoutDescriptors(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	shut(t, s)
	free := noDescriptors(t)
	_, err := Open(Options{Dir: dir})
	free()
	if err == nil || !strings.Contains(err.Error(), "LimitNOFILE") || strings.Contains(err.Error(), restore) {
		t.Fatalf("got %v", err)
	}
	shut(t, open(t, dir, nil))
}
