package badgerstore

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// inUseFile is there while the engine has the directory open, and says which
// logs were begun and are not in tables yet. After a crash it is still there,
// and so are these logs.
const inUseFile = "sessionproxy.open"

// writeInUse follows the opening of the engine, and each change of its logs.
func writeInUse(dir string, begun []int) error {
	return os.WriteFile(filepath.Join(dir, inUseFile), []byte(inUseText(begun)), 0o600)
}

func inUseText(begun []int) string { return strings.Trim(fmt.Sprint(begun), "[]") }

// unmarkAround closes the engine. The mark goes before, since a close that is cut
// off may have removed logs already, and once more after it: the directory may
// have been away at first.
func unmarkAround(dir string, closeEngine func() error) error {
	err := markClosed(dir)
	if closed := guarded(closeEngine); closed != nil {
		return errors.Join(err, closed)
	}
	return errors.Join(err, markClosed(dir))
}

func markClosed(dir string) error {
	if err := os.Remove(filepath.Join(dir, inUseFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// readInUse returns the logs that should be there, and whether the engine was
// not closed. A former version names no logs.
func readInUse(dir string) (begun []int, inUse bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, inUseFile))
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

// missingLogs returns which logs are not there that should be: one line for
// each. key is that of the encryption.
func missingLogs(dir string, key []byte) (faults []string, err error) {
	listed, inUse, err := readInUse(dir)
	if err != nil || !inUse {
		return nil, err
	}
	begun, err := begunLogs(dir)
	if err != nil {
		return nil, err
	}
	if len(begun) == 0 {
		return []string{"the log that was in use is missing, and what was written to it is lost"}, nil
	}
	for _, id := range listed {
		if slices.Contains(begun, id) {
			continue
		}
		next := slices.IndexFunc(begun, func(other int) bool { return other > id })
		if next >= 0 {
			// The engine may have removed it just before the crash: then its
			// last version, which is the one before the next log, is in a table.
			s := &salvager{o: &SalvageOptions{Dir: dir, EncryptionKey: key}, out: new(Salvaged)}
			if s.isFlushed(begun[next]) {
				continue
			}
		}
		faults = append(faults, logName(id)+" is missing, and what was written to it is lost")
	}
	return faults, nil
}

// isFlushed reports whether tables hold what was written before that log. What
// cannot be found out counts as that: the opening will be refused.
func (s *salvager) isFlushed(log int) bool {
	if s.openKeys() != nil {
		return true
	}
	_ = s.openManifest() // without it each form is tried
	b, err := os.ReadFile(filepath.Join(s.o.Dir, logName(log)))
	if err != nil {
		return true
	}
	key, err := s.dataKey(logKeyID(b))
	if err != nil {
		return true
	}
	first := uint64(math.MaxUint64)
	l := logReader{b: b, key: key, visit: func(e rawEntry) error { first = min(first, e.version); return nil }}
	if err := l.read(); err != nil || first == math.MaxUint64 {
		return true // nothing in it says where it begins
	}
	return s.reaches(first - 1)
}

// reaches reports whether a table holds a version, or a later one.
func (s *salvager) reaches(version uint64) bool {
	names, err := filesOf(s.o.Dir, "*.sst")
	if err != nil {
		return true
	}
	for _, name := range names {
		id, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), ".sst"), 10, 64)
		if err != nil {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return true
		}
		forms, _ := s.forms(id)
		for _, form := range forms {
			index, err := readTableIndex(b, form.key)
			if err == nil && index.isIntact && index.maxVersion >= version && index.maxVersion < math.MaxInt64 {
				return true
			}
		}
	}
	return false
}

// begunLogs returns the numbers of the logs that something was written to.
func begunLogs(dir string) (begun []int, err error) {
	ids, err := logs(dir)
	for _, id := range ids {
		info, err := os.Stat(filepath.Join(dir, logName(id)))
		if err != nil {
			return nil, fmt.Errorf("looking at a log: %w", err)
		}
		if info.Size() > 0 {
			begun = append(begun, id)
		}
	}
	return begun, err
}

// logName is that of the engine.
func logName(id int) string { return fmt.Sprintf("%05d%s", id, logSuffix) }

// markInUse follows the opening of the store.
func (l *nextLog) markInUse() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	begun, err := begunLogs(l.dir)
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
		_, err := os.Stat(filepath.Join(l.dir, logName(id)))
		return errors.Is(err, fs.ErrNotExist) // it is in a table
	})
	if last := l.id - 1; !slices.Contains(begun, last) {
		begun = append(begun, last)
	}
	if !slices.Equal(begun, l.begun) && writeInUse(l.dir, begun) == nil {
		l.begun = begun
	}
}
