package rawfiles

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/sessionproxy/sessionproxy/store/internal/crc32c"
)

// LogHeader is how many bytes stand before the first entry of a log.
const LogHeader = 20

// DamageIn returns where the entries of a log end, and whether there are some
// behind that place: then a crash cannot have been the cause.
func DamageIn(b []byte) (at int, damaged bool) {
	for at = LogHeader; at < len(b); {
		n, ok := logEntry(b[at:])
		if !ok {
			break
		}
		at += n
	}
	s := newEntrySearch(b)
	return at, s.next(at+1) > 0 || s.isSpent()
}

// entrySearch finds whole entries behind what is damaged.
type entrySearch struct {
	b    []byte // without the zeros behind the last entry
	left int    // bytes that may still be hashed
}

func newEntrySearch(b []byte) *entrySearch {
	last := len(b)
	for last > 0 && b[last-1] == 0 {
		last--
	}
	return &entrySearch{b[:last], 1 + scanBudget*len(b)}
}

// next returns where the next entry begins, from a place on, or 0.
func (s *entrySearch) next(at int) int {
	for ; at < len(s.b) && !s.isSpent(); at++ {
		f, ok := logFrameOf(s.b[at:])
		if !ok || s.b[at]&^kinds != 0 || s.b[at+1] != 0 || f.end+crc32.Size <= leastEntry {
			continue
		}
		s.left -= f.end
		if _, ok := logEntry(s.b[at:]); ok {
			return at
		}
	}
	return 0
}

// isSpent reports whether the search was given up: lengths that a hostile log
// claims would have it hash all of the log for each byte of it.
func (s *entrySearch) isSpent() bool { return s.left <= 0 }

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
	return f.end + crc32.Size, binary.BigEndian.Uint32(b[f.end:]) == crc32.Checksum(b[:f.end], crc32c.Table)
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
