//go:build linux

package badgerstore

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sessionproxy/sessionproxy/store"
)

const smallDisk = "SESSIONPROXY_TEST_SMALL_DISK"

// TestFullDiskChild is not a test of its own: it writes to a disk that is
// taken in between.
func TestFullDiskChild(t *testing.T) {
	disk := os.Getenv(smallDisk)
	if disk == "" {
		t.Skip("runs only as the child of TestADiskTakenAtOnce")
	}
	dir := filepath.Join(disk, "store")
	const plenty = 1 << 40 // so that no look at the disk helps
	s := open(t, dir, func(o *Options) {
		o.Durability = Async
		o.free = func(string) (int64, error) { return plenty, nil }
	})
	create(t, s, keyOf(1), "x")
	hog := filepath.Join(disk, "hog")
	f, err := os.Create(hog)
	if err != nil {
		t.Fatal(err)
	}
	at := int64(0)
	for step := int64(64 << 20); step >= 4096; {
		if err := unix.Fallocate(int(f.Fd()), 0, at, step); err != nil {
			step /= 2
			continue
		}
		at += step
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	data := strings.Repeat("x", 100<<10)
	n := 0
	for !s.space.MayEnd(len(data)+1024, 8) { // no table is made meanwhile, which would need space
		create(t, s, store.Key{Manager: "shop", ID: store.ID{2, byte(n)}}, data)
		n++
	}
	if n < 100 {
		t.Fatalf("%d saves fill the log", n)
	}
	if err := s.Delete(t.Context(), keyOf(1), store.Destroyed); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	fmt.Println("wrote", n)
}

// TestADiskTakenAtOnce has another process take the whole disk between two
// writes. The engine writes to mapped pages: one that the disk does not have
// would end the process.
func TestADiskTakenAtOnce(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("sessions", disk, "tmpfs", 0, "size=160m"); err != nil {
		if os.Getenv("CI") == "true" && !errors.Is(err, unix.EPERM) {
			t.Fatal(err)
		}
		t.Skipf("needs a small disk, and may not mount one: %v", err)
	}
	defer func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	}()
	child := exec.Command(os.Args[0], "-test.run=^TestFullDiskChild$", "-test.v")
	child.Env = append(os.Environ(), smallDisk+"="+disk)
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "wrote ") {
		t.Fatalf("the child: %v\n%.2000s", err, out)
	}
	s := open(t, filepath.Join(disk, "store"), nil)
	defer shut(t, s)
	if _, err := s.Load(t.Context(), store.Key{Manager: "shop", ID: store.ID{2, 99}}); err != nil {
		t.Fatal(err)
	}
}
