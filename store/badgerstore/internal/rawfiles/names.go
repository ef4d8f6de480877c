package rawfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const logSuffix = ".mem"

// Files returns the paths of the files of a directory whose names match a
// pattern, whatever the path of the directory looks like.
func Files(dir, pattern string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if ok, _ := filepath.Match(pattern, e.Name()); ok {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, err
}

// Logs returns the numbers of the logs in a directory, in order.
func Logs(dir string) (ids []int, err error) {
	entries, err := os.ReadDir(dir) // sorted, and the names have one length
	if err != nil {
		return nil, fmt.Errorf("looking for logs: %w", err)
	}
	for _, e := range entries {
		if id, err := strconv.Atoi(strings.TrimSuffix(e.Name(), logSuffix)); err == nil && strings.HasSuffix(e.Name(), logSuffix) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// BegunLogs returns the numbers of the logs that something was written to.
func BegunLogs(dir string) (begun []int, err error) {
	ids, err := Logs(dir)
	for _, id := range ids {
		info, err := os.Stat(filepath.Join(dir, LogName(id)))
		if err != nil {
			return nil, fmt.Errorf("looking at a log: %w", err)
		}
		if info.Size() > 0 {
			begun = append(begun, id)
		}
	}
	return begun, err
}

// ErrNotRegular says that a pipe, a device or a directory has the name of a
// file of the engine.
var ErrNotRegular = errors.New("it is not a regular file")

// maxFile is far more than a table or a log of the engine has.
const maxFile = 1 << 30

// ReadFile returns what is in a file of the engine. Another kind of file would
// have its reader wait, and one that is too large would take the memory.
func ReadFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, ErrNotRegular
	case info.Size() > maxFile:
		return nil, fmt.Errorf("it has %d bytes, which no file of the engine has", info.Size())
	}
	return os.ReadFile(name)
}

// LogName returns the engine's name of a log.
func LogName(id int) string { return fmt.Sprintf("%05d%s", id, logSuffix) }
