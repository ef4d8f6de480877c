package badgerstore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// entry is a record with what the store itself keeps beside it.
type entry struct {
	rec store.Record
	due int64 // where it is filed in the expiry index
}

const formatRecord = 1

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errDamaged = errors.New("record is damaged")
)

// fixedLen is the length of everything before the principal.
const fixedLen = 1 + 4 + 5*8 + 3*8 + 2*16 + 8 + 8 + 2

// encode writes a record: format, checksum over the key and all that follows,
// times in milliseconds, the rest in order.
func (e *entry) encode(key []byte) []byte {
	r := &e.rec
	b := make([]byte, 0, fixedLen+len(r.Principal)+len(r.Data))
	b = append(b, formatRecord, 0, 0, 0, 0)
	for _, t := range [...]time.Time{r.Created, r.Written, r.Accessed, r.Absolute} {
		b = binary.BigEndian.AppendUint64(b, uint64(millis(t)))
	}
	b = binary.BigEndian.AppendUint64(b, uint64(r.Idle.Milliseconds()))
	for _, n := range [...]uint64{r.Version.Counter, r.Version.Nonce, r.Incarnation} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(b, r.Nonce[:]...)
	b = append(b, r.PreviousNonce[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(millis(r.PreviousUntil)))
	b = binary.BigEndian.AppendUint64(b, uint64(e.due))
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Principal)))
	b = append(b, r.Principal...)
	b = append(b, r.Data...)
	binary.BigEndian.PutUint32(b[1:], checksum(key, b))
	return b
}

// decode reads what encode wrote under that key, and keeps no part of b.
func decode(key, b []byte) (entry, error) {
	if len(b) < fixedLen || b[0] != formatRecord || binary.BigEndian.Uint32(b[1:]) != checksum(key, b) {
		return entry{}, errDamaged
	}
	b = b[5:]
	next := func() (n uint64) {
		n, b = binary.BigEndian.Uint64(b), b[8:]
		return n
	}
	var e entry
	r := &e.rec
	for _, t := range [...]*time.Time{&r.Created, &r.Written, &r.Accessed, &r.Absolute} {
		*t = moment(int64(next()))
	}
	r.Idle = time.Duration(next()) * time.Millisecond
	r.Version = store.Version{Counter: next(), Nonce: next()}
	r.Incarnation = next()
	r.Nonce, r.PreviousNonce, b = [16]byte(b), [16]byte(b[16:]), b[32:]
	r.PreviousUntil = moment(int64(next()))
	e.due = int64(next())
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) < n {
		return entry{}, errDamaged
	}
	r.Principal = string(b[:n])
	r.Data = append(make([]byte, 0, len(b)-n), b[n:]...)
	return e, nil
}

func checksum(key, record []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, record[5:])
}

// size is about how much memory an entry takes.
func (e *entry) size() int64 { return int64(len(e.rec.Data)+len(e.rec.Principal)) + 512 }

// millis and moment keep the zero time zero.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// access is the value under an access key.
type access struct {
	incarnation uint64
	at          time.Time
}

func (a access) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 16), a.incarnation)
	return binary.BigEndian.AppendUint64(b, uint64(millis(a.at)))
}

// merge moves the record's access time forward, if a belongs to it.
func (a access) merge(r *store.Record) {
	if a.incarnation == r.Incarnation && a.at.After(r.Accessed) {
		r.Accessed = a.at
	}
}

func decodeAccess(b []byte) (a access, ok bool) {
	if len(b) != 16 {
		return access{}, false
	}
	return access{binary.BigEndian.Uint64(b), moment(int64(binary.BigEndian.Uint64(b[8:])))}, true
}
