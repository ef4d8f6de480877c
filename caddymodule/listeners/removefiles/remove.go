package removefiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
)

// unremovable says that a file is not removed, now or later. The reason never
// holds its name.
func unremovable(reason string) error { return fmt.Errorf("%s: %w", reason, event.ErrPermanent) }

// removeFile removes the regular file of that name, with slashes between
// directories, below root. It passes no symbolic link. What is missing is removed.
func removeFile(root *os.Root, name string) error {
	if len(name) > maxFileName {
		return unremovable(fmt.Sprintf("its name is longer than %d bytes", maxFileName))
	}
	steps := strings.Split(name, "/")
	for _, step := range steps {
		switch {
		case step == "" || step == "." || step == ".." || strings.ContainsRune(step, 0):
			return unremovable("its name is no relative path without . and ..")
		case !filepath.IsLocal(step) || strings.ContainsRune(step, filepath.Separator):
			return unremovable("its name means something else on this system")
		}
	}
	last := len(steps) - 1
	dir := root
	for _, step := range steps[:last] {
		next, err := enter(dir, step)
		if dir != root {
			dir.Close()
		}
		if err != nil {
			return unlessMissing(err)
		}
		dir = next
	}
	if dir != root {
		defer dir.Close()
	}
	info, err := dir.Lstat(steps[last])
	if err != nil {
		return unlessMissing(err)
	}
	if !info.Mode().IsRegular() {
		return unremovable("it is no regular file")
	}
	// What has taken the file's place meanwhile is a name in this directory
	// all the same: a link is removed, and not what it leads to.
	return unlessMissing(dir.Remove(steps[last]))
}

// enter opens a directory inside another one, and no symbolic link to one.
func enter(dir *os.Root, step string) (*os.Root, error) {
	info, err := dir.Lstat(step)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, unremovable("on the way to it is no directory, or a symbolic link")
	}
	next, err := dir.OpenRoot(step)
	if err != nil {
		return nil, err
	}
	// Between the two calls a link can have taken the directory's place.
	opened, err := next.Stat(".")
	if err == nil && !os.SameFile(info, opened) {
		err = unremovable("a directory on the way to it was replaced meanwhile")
	}
	if err != nil {
		next.Close()
		return nil, err
	}
	return next, nil
}

// unlessMissing takes the name of the file out of an error, and the error away
// if it says that there is none.
func unlessMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, syscall.ENAMETOOLONG) {
		return unremovable("its name is too long for the file system")
	}
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		return at.Err
	}
	return err
}
