package badgerstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"go.uber.org/zap"
)

// The engine cuts a damaged log at the damage when it opens, without a word,
// and does not miss a log that is not there: sessions that were acknowledged
// would be gone in silence. So the logs are looked at before.

// damagedLogs returns what is wrong with the logs of a directory that is not
// open: one line for each. A log that ends in the middle of a write is as a
// crash leaves it, and is not wrong: that write was not acknowledged.
func damagedLogs(dir string, key []byte) (faults []string, err error) {
	ids, err := logs(dir)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		name := logName(id)
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("looking at a log: %w", err)
		}
		if at, damaged := damageIn(b); damaged {
			faults = append(faults, fmt.Sprintf("%s is damaged at byte %d, and what was written behind that is lost", name, at))
		}
	}
	missing, err := missingLogs(dir, key)
	return append(faults, missing...), err
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
	return at, nextEntry(b[:last], at+1) > 0
}

// leastEntry is longer than what a few bytes could be taken for by chance.
const leastEntry = 16

// logFrame is where the parts of an entry of a log are.
type logFrame struct {
	key, value, end int // where they begin; a CRC32C begins at end
	expires         uint64
}

// logEntry returns the length of the entry that b begins with, if it is whole:
// two bytes of kind, the lengths of key and value, an expiry, both of them,
// and a CRC32C of all.
func logEntry(b []byte) (n int, ok bool) {
	f, ok := logFrameOf(b)
	if !ok {
		return 0, false
	}
	return f.end + crc32.Size, binary.BigEndian.Uint32(b[f.end:]) == crc32.Checksum(b[:f.end], castagnoli)
}

// logFrameOf reads the lengths that an entry begins with.
func logFrameOf(b []byte) (f logFrame, ok bool) {
	if len(b) < leastEntry {
		return f, false
	}
	at := 2
	var fields [3]uint64
	for i := range fields {
		v, n := binary.Uvarint(b[at:min(len(b), at+binary.MaxVarintLen64)])
		if n <= 0 {
			return f, false
		}
		fields[i] = v
		at += n
	}
	key, value := fields[0], fields[1]
	if key == 0 || key > 1<<16 || value > uint64(len(b)) {
		return f, false
	}
	f = logFrame{key: at, value: at + int(key), end: at + int(key) + int(value), expires: fields[2]}
	return f, f.end+crc32.Size <= len(b)
}

// reportLogs tells what was found wrong with the logs, once for each opening.
func (s *Store) reportLogs(faults []string) {
	s.damagedLogs.Add(int64(len(faults)))
	for _, fault := range faults {
		s.log.Error("acknowledged sessions are lost: "+fault+"; check the disk and what removes files here, and restore a backup if the sessions are missed",
			zap.String("dir", s.opts.Dir))
	}
}
