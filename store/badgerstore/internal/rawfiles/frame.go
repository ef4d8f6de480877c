package rawfiles

import (
	"encoding/binary"
	"hash/crc32"
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
