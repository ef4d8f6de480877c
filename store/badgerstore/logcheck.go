package badgerstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"go.uber.org/zap"
)

// The engine cuts a damaged log at the damage when it opens, without a word,
// and does not miss a log that is not there: sessions that were acknowledged
// would be gone in silence. So the logs are looked at before.

// inUseFile is there while the engine has the directory open. After a crash it
// is still there, and then so is the log that was in use.
const inUseFile = "sessionproxy.open"

// markInUse follows the opening of the engine, and markClosed comes before its close.
func markInUse(dir string) error {
	return os.WriteFile(filepath.Join(dir, inUseFile), nil, 0o600)
}

func markClosed(dir string) error {
	if err := os.Remove(filepath.Join(dir, inUseFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// damagedLogs returns what is wrong with the logs of a directory that is not
// open: one line for each. A log that ends in the middle of a write is as a
// crash leaves it, and is not wrong: that write was not acknowledged.
func damagedLogs(dir string) (faults []string, err error) {
	ids, err := logs(dir)
	if err != nil {
		return nil, err
	}
	begun := 0
	for _, id := range ids {
		name := fmt.Sprintf("%05d%s", id, logSuffix)
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("looking at a log: %w", err)
		}
		if len(b) > 0 {
			begun++
		}
		if at, damaged := damageIn(b); damaged {
			faults = append(faults, fmt.Sprintf("%s is damaged at byte %d, and what was written behind that is lost", name, at))
		}
	}
	if _, err := os.Stat(filepath.Join(dir, inUseFile)); err == nil && begun == 0 {
		faults = append(faults, "the log that was in use is missing, and what was written to it is lost")
	}
	return faults, nil
}

// logHeader is what stands before the first entry of a log.
const logHeader = 20

// damageIn returns where the entries of a log end, and whether there are some
// behind that place: then a crash cannot have been the cause.
func damageIn(b []byte) (at int, damaged bool) {
	for at = logHeader; at < len(b); {
		n, ok := logEntry(b[at:])
		if !ok {
			break
		}
		at += n
	}
	last := len(b)
	for last > at && b[last-1] == 0 {
		last--
	}
	for i := at + 1; i < last; i++ {
		if n, ok := logEntry(b[i:last]); ok && n > leastEntry {
			return at, true
		}
	}
	return at, false
}

// leastEntry is longer than what a few bytes could be taken for by chance.
const leastEntry = 16

// logEntry returns the length of the entry that b begins with, if it is whole:
// two bytes of kind, the lengths of key and value, an expiry, both of them,
// and a CRC32C of all.
func logEntry(b []byte) (n int, ok bool) {
	if len(b) < leastEntry {
		return 0, false
	}
	at := 2
	var fields [3]uint64
	for i := range fields {
		v, n := binary.Uvarint(b[at:min(len(b), at+binary.MaxVarintLen64)])
		if n <= 0 {
			return 0, false
		}
		fields[i] = v
		at += n
	}
	key, value := fields[0], fields[1]
	if key == 0 || key > 1<<16 || value > uint64(len(b)) {
		return 0, false
	}
	end := at + int(key) + int(value)
	if end+crc32.Size > len(b) {
		return 0, false
	}
	return end + crc32.Size, binary.BigEndian.Uint32(b[end:]) == crc32.Checksum(b[:end], castagnoli)
}

// reportLogs tells what was found wrong with the logs, once for each opening.
func (s *Store) reportLogs(faults []string) {
	s.damagedLogs.Add(int64(len(faults)))
	for _, fault := range faults {
		s.log.Error("acknowledged sessions are lost: "+fault+"; check the disk and what removes files here, and restore a backup if the sessions are missed",
			zap.String("dir", s.opts.Dir))
	}
}
