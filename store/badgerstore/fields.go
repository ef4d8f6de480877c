package badgerstore

import (
	"encoding/binary"
	"time"
)

// fields reads values from bytes, which may be anything. After the first one
// that is not there all are zero, and failed is set.
type fields struct {
	b      []byte
	failed bool
}

// take returns the next n bytes, which stay part of the whole.
func (f *fields) take(n int) []byte {
	if f.failed || n < 0 || len(f.b) < n {
		f.failed = true
		return make([]byte, min(max(n, 0), 16)) // enough for every fixed field
	}
	b := f.b[:n]
	f.b = f.b[n:]
	return b
}

func (f *fields) uint64() uint64  { return binary.BigEndian.Uint64(f.take(8)) }
func (f *fields) uint32() uint32  { return binary.BigEndian.Uint32(f.take(4)) }
func (f *fields) time() time.Time { return moment(int64(f.uint64())) }

// text reads what appendText wrote.
func (f *fields) text() string {
	n := f.uint32()
	if uint64(n) > uint64(len(f.b)) {
		f.failed = true
		return ""
	}
	return string(f.take(int(n)))
}

// rest returns all that is left.
func (f *fields) rest() []byte {
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
