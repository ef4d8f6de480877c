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

// format is that of every value with a seal.
const format = 1

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errDamaged = errors.New("record is damaged")
)

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
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, b[sealLen:])
}

// encode writes a record, and where it is filed.
func (e *entry) encode(key []byte) []byte {
	b := make([]byte, sealLen, sealLen+8+recordLen+extensionLen+len(e.rec.Principal)+cookiesLen(&e.rec)+len(e.rec.Data))
	b = binary.BigEndian.AppendUint64(b, uint64(e.due))
	return seal(key, appendRecord(b, &e.rec))
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
	e.rec, err = decodeRecord(b[8:])
	return e, err
}

// recordLen is the length of all of a record but principal and data.
const recordLen = 6*8 + 3*8 + 2*16 + 8 + 2

// extensionLen is the length of what a record of format 2 has besides: since,
// and which timeouts are its own. A bit of the idle timeout, which is never so
// long, says that it is there: records of format 1 stay readable.
const (
	extensionLen = 8 + 1
	hasExtension = 1 << 63
	hasCookies   = 1 << 62 // before the data stands the cookie jar, and its length in four bytes
)

// cookiesLen returns how much room the cookie jar takes in a record.
func cookiesLen(r *store.Record) int {
	if len(r.Cookies) == 0 {
		return 0
	}
	return 4 + len(r.Cookies)
}

// appendRecord writes a record: times in milliseconds, the rest in order.
func appendRecord(b []byte, r *store.Record) []byte {
	for _, t := range [...]time.Time{r.Created, r.Written, r.Accessed, r.Absolute, r.Rotated} {
		b = binary.BigEndian.AppendUint64(b, uint64(millis(t)))
	}
	idle := uint64(r.Idle.Milliseconds()) | hasExtension
	if len(r.Cookies) > 0 {
		idle |= hasCookies
	}
	b = binary.BigEndian.AppendUint64(b, idle)
	for _, n := range [...]uint64{r.Version.Counter, r.Version.Nonce, r.Incarnation} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(b, r.Nonce[:]...)
	b = append(b, r.PreviousNonce[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(millis(r.PreviousUntil)))
	b = binary.BigEndian.AppendUint64(b, uint64(millis(r.Since)))
	var own byte
	if r.OwnIdle {
		own |= 1
	}
	if r.OwnAbsolute {
		own |= 2
	}
	b = append(b, own)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Principal)))
	b = append(b, r.Principal...)
	if len(r.Cookies) > 0 {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(r.Cookies))), r.Cookies...)
	}
	return append(b, r.Data...)
}

// decodeRecord reads what appendRecord wrote, to the end of b, and keeps no
// part of it.
func decodeRecord(b []byte) (r store.Record, err error) {
	if len(b) < recordLen {
		return r, errDamaged
	}
	next := func() (n uint64) {
		n, b = binary.BigEndian.Uint64(b), b[8:]
		return n
	}
	for _, t := range [...]*time.Time{&r.Created, &r.Written, &r.Accessed, &r.Absolute, &r.Rotated} {
		*t = fromMillis(int64(next()))
	}
	idle := next()
	r.Idle = time.Duration(idle&^(hasExtension|hasCookies)) * time.Millisecond
	r.Version = store.Version{Counter: next(), Nonce: next()}
	r.Incarnation = next()
	r.Nonce, r.PreviousNonce, b = [16]byte(b), [16]byte(b[16:]), b[32:]
	r.PreviousUntil = fromMillis(int64(next()))
	if idle&hasExtension != 0 {
		if len(b) < extensionLen+2 {
			return store.Record{}, errDamaged
		}
		r.Since = fromMillis(int64(next()))
		r.OwnIdle, r.OwnAbsolute, b = b[0]&1 != 0, b[0]&2 != 0, b[1:]
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) < n {
		return store.Record{}, errDamaged
	}
	r.Principal = string(b[:n])
	data := append(make([]byte, 0, len(b)-n), b[n:]...)
	if idle&hasCookies != 0 {
		if len(data) < 4 {
			return store.Record{}, errDamaged
		}
		n := uint64(binary.BigEndian.Uint32(data))
		if data = data[4:]; n == 0 || uint64(len(data)) < n {
			return store.Record{}, errDamaged
		}
		r.Cookies, data = data[:n:n], data[n:]
	}
	r.Data = data
	return r, nil
}

// size is about how much memory an entry takes.
func (e *entry) size() int64 {
	return int64(len(e.rec.Data)+len(e.rec.Cookies)+len(e.rec.Principal)) + 512
}

// millis and moment keep the zero time zero.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// truncated drops what is finer than the stored milliseconds, so that memory
// and disk say the same.
func truncated(r store.Record) store.Record {
	for _, t := range [...]*time.Time{&r.Created, &r.Written, &r.Accessed, &r.Absolute, &r.Rotated, &r.PreviousUntil, &r.Since} {
		*t = fromMillis(millis(*t))
	}
	r.Idle = r.Idle.Truncate(time.Millisecond)
	return r
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
	b = binary.BigEndian.AppendUint64(b, uint64(millis(a.at)))
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
	access{e.rec.Incarnation, fromMillis(int64(binary.BigEndian.Uint64(b[8:])))}.merge(&e.rec)
	e.due = int64(binary.BigEndian.Uint64(b[16:]))
}

// decoder reads values from bytes, which may be anything. After the first one
// that is not there all are zero, and failed is set.
type decoder struct {
	b      []byte
	failed bool
}

// take returns the next n bytes, which stay part of the whole.
func (f *decoder) take(n int) []byte {
	if f.failed || n < 0 || len(f.b) < n {
		f.failed = true
		return make([]byte, min(max(n, 0), 16)) // enough for every fixed field
	}
	b := f.b[:n]
	f.b = f.b[n:]
	return b
}

func (f *decoder) uint64() uint64  { return binary.BigEndian.Uint64(f.take(8)) }
func (f *decoder) uint32() uint32  { return binary.BigEndian.Uint32(f.take(4)) }
func (f *decoder) time() time.Time { return fromMillis(int64(f.uint64())) }

// text reads what appendText wrote.
func (f *decoder) text() string {
	n := f.uint32()
	if uint64(n) > uint64(len(f.b)) {
		f.failed = true
		return ""
	}
	return string(f.take(int(n)))
}

// rest returns all that is left.
func (f *decoder) rest() []byte {
	if f.failed {
		return nil
	}
	return f.take(len(f.b))
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(millis(t)))
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}
