package archive

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// ErrDamaged says that bytes are not what was written.
var ErrDamaged = errors.New("record is damaged")

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

// AppendRecord writes a record: times in milliseconds, the rest in order.
func AppendRecord(b []byte, r *store.Record) []byte {
	for _, t := range [...]time.Time{r.Created, r.Written, r.Accessed, r.Absolute, r.Rotated} {
		b = binary.BigEndian.AppendUint64(b, uint64(Millis(t)))
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
	b = binary.BigEndian.AppendUint64(b, uint64(Millis(r.PreviousUntil)))
	b = binary.BigEndian.AppendUint64(b, uint64(Millis(r.Since)))
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

// DecodeRecord reads what AppendRecord wrote, to the end of b, and keeps no
// part of it.
func DecodeRecord(b []byte) (r store.Record, err error) {
	if len(b) < recordLen {
		return r, ErrDamaged
	}
	next := func() (n uint64) {
		n, b = binary.BigEndian.Uint64(b), b[8:]
		return n
	}
	for _, t := range [...]*time.Time{&r.Created, &r.Written, &r.Accessed, &r.Absolute, &r.Rotated} {
		*t = FromMillis(int64(next()))
	}
	idle := next()
	r.Idle = time.Duration(idle&^(hasExtension|hasCookies)) * time.Millisecond
	r.Version = store.Version{Counter: next(), Nonce: next()}
	r.Incarnation = next()
	r.Nonce, r.PreviousNonce, b = [16]byte(b), [16]byte(b[16:]), b[32:]
	r.PreviousUntil = FromMillis(int64(next()))
	if idle&hasExtension != 0 {
		if len(b) < extensionLen+2 {
			return store.Record{}, ErrDamaged
		}
		r.Since = FromMillis(int64(next()))
		r.OwnIdle, r.OwnAbsolute, b = b[0]&1 != 0, b[0]&2 != 0, b[1:]
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) < n {
		return store.Record{}, ErrDamaged
	}
	r.Principal = string(b[:n])
	data := append(make([]byte, 0, len(b)-n), b[n:]...)
	if idle&hasCookies != 0 {
		if len(data) < 4 {
			return store.Record{}, ErrDamaged
		}
		n := uint64(binary.BigEndian.Uint32(data))
		if data = data[4:]; n == 0 || uint64(len(data)) < n {
			return store.Record{}, ErrDamaged
		}
		r.Cookies, data = data[:n:n], data[n:]
	}
	r.Data = data
	return r, nil
}

// RecordSize is about how many bytes AppendRecord writes.
func RecordSize(r *store.Record) int {
	return recordLen + extensionLen + cookiesLen(r) + len(r.Principal) + len(r.Data)
}

// Millis returns the milliseconds of a time, as they are stored. The zero time is zero.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// FromMillis is the inverse of Millis.
func FromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Truncate drops what is finer than the stored milliseconds, so that memory
// and disk say the same.
func Truncate(r store.Record) store.Record {
	for _, t := range [...]*time.Time{&r.Created, &r.Written, &r.Accessed, &r.Absolute, &r.Rotated, &r.PreviousUntil, &r.Since} {
		*t = FromMillis(Millis(*t))
	}
	r.Idle = r.Idle.Truncate(time.Millisecond)
	return r
}
