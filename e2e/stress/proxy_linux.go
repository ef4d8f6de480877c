package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// childAttributes let the proxy end with this program, whatever ends it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// mountDisk mounts a small file system for the store, and says why it cannot.
func mountDisk(dir string, mib int) (unmount func(), err error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("only root can mount a small file system")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		return nil, fmt.Errorf("mounting tmpfs: %w", err)
	}
	return func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }, nil
}

// fillDisk takes all that is left of a file system, at once.
func fillDisk(dir string) (remove func(), err error) {
	path := filepath.Join(dir, "hog")
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	remove = func() { _ = os.Remove(path) }
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		remove()
		return nil, err
	}
	at := int64(0)
	for step := int64(stat.Bavail) * stat.Bsize; step >= 4096; {
		if unix.Fallocate(int(f.Fd()), 0, at, step) == nil {
			at += step
		} else {
			step /= 2
		}
	}
	return remove, nil
}

// limitFiles leaves a process as many descriptors as it has, and that many more.
func limitFiles(pid, more int) (restore func(), err error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return nil, err
	}
	var old unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &old); err != nil {
		return nil, err
	}
	now := unix.Rlimit{Cur: uint64(len(open) + more), Max: old.Max}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &now, nil); err != nil {
		return nil, err
	}
	return func() { _ = unix.Prlimit(pid, unix.RLIMIT_NOFILE, &old, nil) }, nil
}

// residentMiB is the memory of a process.
func residentMiB(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kib >> 10
		}
	}
	return 0
}
