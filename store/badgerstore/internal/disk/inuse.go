package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/panics"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/rawfiles"
)

// InUseFile is there while the engine has the directory open, and says which
// logs were begun and are not in tables yet. After a crash it is still there,
// and so are these logs.
const InUseFile = "sessionproxy.open"

// writeInUse follows the opening of the engine, and each change of its logs.
func writeInUse(dir string, begun []int) error {
	return os.WriteFile(filepath.Join(dir, InUseFile), []byte(inUseText(begun)), 0o600)
}

func inUseText(begun []int) string { return strings.Trim(fmt.Sprint(begun), "[]") }

// UnmarkAround closes the engine. The mark goes before, since a close that is cut
// off may have removed logs already, and once more after it: the directory may
// have been away at first.
func UnmarkAround(dir string, closeEngine func() error) error {
	err := MarkClosed(dir)
	if closed := panics.Catch(closeEngine); closed != nil {
		return errors.Join(err, closed)
	}
	return errors.Join(err, MarkClosed(dir))
}

// MarkClosed removes the mark that the directory is in use.
func MarkClosed(dir string) error {
	if err := os.Remove(filepath.Join(dir, InUseFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// ReadInUse returns the logs that should be there, and whether the engine was
// not closed. A former version names no logs.
func ReadInUse(dir string) (begun []int, inUse bool, err error) {
	b, err := rawfiles.ReadFile(filepath.Join(dir, InUseFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	for text := range strings.FieldsSeq(string(b)) {
		if id, err := strconv.Atoi(text); err == nil {
			begun = append(begun, id)
		}
	}
	return begun, true, nil
}

// markInUse follows the opening of the store.
func (l *nextLog) markInUse() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	begun, err := rawfiles.BegunLogs(l.dir)
	if err == nil {
		err = writeInUse(l.dir, begun)
	}
	if err == nil {
		l.begun, l.marked = begun, true
	}
	return err
}

// follow notes which logs there are. A mark that cannot be written is written
// at the next look: until then a log that goes is not missed. Called with mu held.
func (l *nextLog) follow() {
	if !l.marked {
		return
	}
	begun := slices.DeleteFunc(slices.Clone(l.begun), func(id int) bool {
		if id == l.id-1 {
			return false
		}
		_, err := os.Stat(filepath.Join(l.dir, rawfiles.LogName(id)))
		return errors.Is(err, fs.ErrNotExist) // it is in a table
	})
	if last := l.id - 1; !slices.Contains(begun, last) {
		begun = append(begun, last)
	}
	if !slices.Equal(begun, l.begun) && writeInUse(l.dir, begun) == nil {
		l.begun = begun
	}
}
