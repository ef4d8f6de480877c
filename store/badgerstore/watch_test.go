package badgerstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/disk"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/rawfiles"
)

// TestTheDirectoryIsTheOneThatWasOpened: what is written to another one, or to
// none, is lost with the next start.
func TestTheDirectoryIsTheOneThatWasOpened(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	f := openFaulty(t, dir, nil)
	defer shut(t, f.Store)
	create(t, f.Store, keyOf(1), "x")
	refused := func(what string) {
		t.Helper()
		f.space.Refresh()
		if err := f.writable(); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got %v", what, err)
		}
		if err := f.Delete(t.Context(), keyOf(2), store.Destroyed); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: ending a session: %v", what, err)
		}
		if h := f.Stats().Health; h.Writable || !strings.Contains(h.Reason, what) {
			t.Errorf("%s: %+v", what, h)
		}
		if _, err := f.Load(t.Context(), keyOf(1)); err != nil {
			t.Errorf("%s: reading: %v", what, err)
		}
	}
	back := func() {
		t.Helper()
		f.space.Refresh()
		if err := f.writable(); err != nil {
			t.Fatalf("it is back: %v", err)
		}
	}
	away := dir + ".away"
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	move(dir, away)
	refused("the directory is gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	refused("the directory is another one")
	remove(t, filepath.Dir(dir), filepath.Base(dir))
	move(away, dir)
	back()
	move(filepath.Join(dir, "MANIFEST"), away)
	refused("the files of the store are gone")
	move(away, filepath.Join(dir, "MANIFEST"))
	back()
}

// TestALookThatFailsRefusesWrites
func TestALookThatFailsRefusesWrites(t *testing.T) {
	var fails atomic.Bool
	f := openFaulty(t, t.TempDir(), func(o *Options) {
		o.free = func(string) (int64, error) {
			if fails.Load() {
				return 0, syscall.EIO
			}
			return 1 << 40, nil
		}
	})
	defer shut(t, f.Store)
	fails.Store(true)
	f.space.Refresh()
	if err := f.writable(); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "its disk fails") {
		t.Fatalf("got %v", err)
	}
	fails.Store(false)
	f.space.Refresh()
	if err := f.writable(); err != nil {
		t.Fatal(err)
	}
}

func TestInodesAreSpace(t *testing.T) {
	f := openFaulty(t, t.TempDir(), nil)
	defer shut(t, f.Store)
	create(t, f.Store, keyOf(1), "x")
	f.inodes.Store(disk.LeastInodes - 1)
	f.space.Refresh()
	if err := f.writable(); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "255 free inodes") {
		t.Fatalf("got %v", err)
	}
	if h := f.Stats().Health; h.Writable || h.FreeInodes != disk.LeastInodes-1 || h.ReserveInodes != disk.LeastInodes {
		t.Fatalf("%+v", h)
	}
	if err := f.Delete(t.Context(), keyOf(1), store.Destroyed); err != nil {
		t.Fatalf("ending a session: %v", err)
	}
	f.inodes.Store(disk.LeastInodes)
	f.space.Refresh()
	if err := f.writable(); err != nil {
		t.Fatal(err)
	}
}

// TestNoLogEndsOnAFullDisk: within a log every page is there, so that users
// can log out; the table that is made of it has to find space.
func TestNoLogEndsOnAFullDisk(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	f := openFaulty(t, t.TempDir(), func(o *Options) {
		o.free = func(string) (int64, error) { return free.Load(), nil }
		o.Reserve = leastReserve
	})
	defer shut(t, f.Store)
	for n := range byte(4) {
		create(t, f.Store, keyOf(n), "x")
	}
	free.Store(0)
	f.space.Refresh()
	end := store.Destroyed
	err := f.Delete(t.Context(), keyOf(1), end)
	if runtime.GOOS == "linux" && err != nil {
		t.Fatalf("logging out: %v", err)
	}
	f.space.Wrote(memTableSize, 0)
	if err := f.Delete(t.Context(), keyOf(2), end); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("a log may end: %v", err)
	}
	free.Store(1 << 40)
	f.space.Refresh()
	if err := f.Delete(t.Context(), keyOf(2), end); err != nil {
		t.Fatal(err)
	}
}

// TestCompactionsWaitWhileTheDiskIsTaken: the pages of a table are allocated as
// they are written, so that none is begun while free space goes down.
func TestCompactionsWaitWhileTheDiskIsTaken(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	f := openFaulty(t, t.TempDir(), func(o *Options) {
		o.free = func(string) (int64, error) { return free.Load(), nil }
		o.Reserve = leastReserve
	})
	defer shut(t, f.Store)
	f.space.AwaitTable() // at once
	free.Store(leastReserve - 1)
	went := make(chan struct{})
	go func() {
		defer close(went)
		f.space.AwaitTable()
	}()
	until(t, "the wait", func() bool { return f.space.Held() != nil })
	if err := f.space.Held(); !errors.Is(err, disk.ErrFalling) {
		t.Fatal(err)
	}
	<-went // nothing more is taken
	if f.space.Held() != nil {
		t.Fatal("the wait is not over")
	}
}

// TestLogsAreAllocatedAhead: the one in use, and the next one, which is empty.
func TestLogsAreAllocatedAhead(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux allocates blocks behind the end of a file")
	}
	dir := t.TempDir()
	f := openFaulty(t, dir, nil)
	check := func() {
		t.Helper()
		ids, err := rawfiles.Logs(dir)
		if err != nil || len(ids) < 2 {
			t.Fatal(ids, err)
		}
		for i, id := range ids[len(ids)-2:] {
			info, err := os.Stat(filepath.Join(dir, fmt.Sprintf("%05d.mem", id)))
			if err != nil || disk.Allocated(info) <= memTableSize || (info.Size() == 0) != (i == 1) {
				t.Errorf("log %d: %d bytes, %d allocated, %v", id, info.Size(), disk.Allocated(info), err)
			}
		}
	}
	check()
	// A process that dies leaves the empty one behind.
	create(t, f.Store, keyOf(1), "x")
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	again := open(t, copied, nil)
	if _, err := again.Load(t.Context(), keyOf(1)); err != nil {
		t.Fatal(err)
	}
	create(t, again, keyOf(2), "x")
	shut(t, again)
	first := f.space.NextLog()
	data := strings.Repeat("x", 200<<10)
	for n := 0; f.space.NextLog() == first; n++ {
		if n == 200 {
			t.Fatal("the log does not end")
		}
		create(t, f.Store, store.Key{Manager: "shop", ID: store.ID{2, byte(n)}}, data)
		f.space.Refresh()
	}
	check()
	shut(t, f.Store)
	for _, dir := range []string{dir, copied} {
		if ids, err := rawfiles.Logs(dir); err != nil || len(ids) > 0 {
			t.Errorf("after the close there are logs %v, %v", ids, err)
		}
	}
}

// TestASecondProcessLeavesTheLogsAlone
func TestASecondProcessLeavesTheLogsAlone(t *testing.T) {
	dir := t.TempDir()
	f := openFaulty(t, dir, nil)
	defer shut(t, f.Store)
	before := listing(t, dir)
	if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Fatalf("got %v", err)
	}
	if now := listing(t, dir); now != before {
		t.Fatalf("it was\n%sand is\n%s", before, now)
	}
}

// TestRemedies: to restore a directory, or to move it away, loses sessions,
// and is said of damage alone.
func TestRemedies(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{syscall.EROFS, "file system is read-only"},
		{syscall.EMFILE, "LimitNOFILE"},
		{fmt.Errorf("while opening fid: 1 err: open 00001.mem: %w", syscall.EMFILE), "ulimit -n"},
		{errors.New("cannot create memtable err: open 00001.mem: too many open files"), "LimitNOFILE"},
		{syscall.ENFILE, "fs.file-max"},
		{syscall.ENOSPC, "df -i"},
		{syscall.EDQUOT, "quota"},
		{syscall.EIO, "kernel's log"},
		{syscall.ENOMEM, "vm.max_map_count"},
		{&os.PathError{Op: "mkdir", Path: "/x", Err: syscall.EACCES}, "must belong to the user that runs the proxy"},
		{syscall.EPERM, "must belong to the user that runs the proxy"},
		{errors.New("Cannot acquire directory lock on x"), "another process has it open"},
		{errors.New("manifest has checksum mismatch"), restore},
		{errors.New("file does not exist for table 7"), restore},
	} {
		got := explain(tc.err).Error()
		if !strings.Contains(got, tc.want) || strings.Contains(got, restore) != (tc.want == restore) {
			t.Errorf("%v: %s", tc.err, got)
		}
		if again := explain(explain(tc.err)).Error(); again != got {
			t.Errorf("twice: %s", again)
		}
	}
	if got := explain(errors.New("something else")).Error(); got != "something else" {
		t.Errorf("got %s", got)
	}
}
