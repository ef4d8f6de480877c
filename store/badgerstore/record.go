package badgerstore

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
	"github.com/sessionproxy/sessionproxy/store/internal/crc32c"
)

// entry is a record with what the store itself keeps beside it.
type entry struct {
	rec store.Record
	due int64 // where it is filed in the expiry index
}

// format is that of every value with a seal.
const format = 1

var errDamaged = archive.ErrDamaged

// sealLen is what each value begins with that has a checksum: its format, and
// a CRC32C over the key and all that follows.
const sealLen = 1 + 4

// seal completes a value whose first sealLen bytes are free.
func seal(key, b []byte) []byte {
	b[0] = format
	binary.BigEndian.PutUint32(b[1:], checksum(key, b))
	return b
}

// unseal returns what follows a seal that is whole.
func unseal(key, b []byte) ([]byte, error) {
	if len(b) < sealLen || b[0] != format || binary.BigEndian.Uint32(b[1:]) != checksum(key, b) {
		return nil, errDamaged
	}
	return b[sealLen:], nil
}

func checksum(key, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, crc32c.Table), crc32c.Table, b[sealLen:])
}

// encode writes a record, and where it is filed.
func (e *entry) encode(key []byte) []byte {
	b := make([]byte, sealLen, sealLen+8+archive.RecordSize(&e.rec))
	b = binary.BigEndian.AppendUint64(b, uint64(e.due))
	return seal(key, archive.AppendRecord(b, &e.rec))
}

// decode reads what encode wrote under that key, and keeps no part of b.
func decode(key, b []byte) (e entry, err error) {
	if b, err = unseal(key, b); err != nil {
		return entry{}, err
	}
	if len(b) < 8 {
		return entry{}, errDamaged
	}
	e.due = int64(binary.BigEndian.Uint64(b))
	e.rec, err = archive.DecodeRecord(b[8:])
	return e, err
}

// size is about how much memory an entry takes.
func (e *entry) size() int64 {
	return int64(len(e.rec.Data)+len(e.rec.Cookies)+len(e.rec.Principal)) + 512
}

// access is an access time of one life of a session.
type access struct {
	incarnation uint64
	at          time.Time
}

const accessLen = 3 * 8

// encode writes the value under an access key. It says where the session is
// filed, too, so that the sweep can file it anew without writing its data; it
// wins over what the record says.
func (a access) encode(due int64) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, accessLen), a.incarnation)
	b = binary.BigEndian.AppendUint64(b, uint64(archive.Millis(a.at)))
	return binary.BigEndian.AppendUint64(b, uint64(due))
}

// merge moves the record's access time forward, if a belongs to it.
func (a access) merge(r *store.Record) {
	if a.incarnation == r.Incarnation && a.at.After(r.Accessed) {
		r.Accessed = a.at
	}
}

// mergeAccess applies the value under an access key to its entry.
func (e *entry) mergeAccess(b []byte) {
	if len(b) != accessLen || binary.BigEndian.Uint64(b) != e.rec.Incarnation {
		return
	}
	access{e.rec.Incarnation, archive.FromMillis(int64(binary.BigEndian.Uint64(b[8:])))}.merge(&e.rec)
	e.due = int64(binary.BigEndian.Uint64(b[16:]))
}
