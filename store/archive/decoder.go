package archive

import (
	"encoding/binary"
	"time"
)

// Decoder reads values from bytes, which may be anything. After the first one
// that is not there all are zero, and failed is set.
type Decoder struct {
	rest   []byte
	failed bool
}

// Take returns the next n bytes, which stay part of the whole.
func (f *Decoder) Take(n int) []byte {
	if f.failed || n < 0 || len(f.rest) < n {
		f.failed = true
		return make([]byte, min(max(n, 0), 16)) // enough for every fixed field
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

// Uint64 reads eight bytes.
func (f *Decoder) Uint64() uint64 { return binary.BigEndian.Uint64(f.Take(8)) }

// Uint32 reads four bytes.
func (f *Decoder) Uint32() uint32 { return binary.BigEndian.Uint32(f.Take(4)) }

// Time reads what AppendTime wrote.
func (f *Decoder) Time() time.Time { return FromMillis(int64(f.Uint64())) }

// Text reads what AppendText wrote.
func (f *Decoder) Text() string {
	n := f.Uint32()
	if uint64(n) > uint64(len(f.rest)) {
		f.failed = true
		return ""
	}
	return string(f.Take(int(n)))
}

// Rest returns all that is left.
func (f *Decoder) Rest() []byte {
	if f.failed {
		return nil
	}
	return f.Take(len(f.rest))
}

// AppendTime writes a time in milliseconds.
func AppendTime(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(Millis(t)))
}

// AppendText writes a text after its length.
func AppendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// NewDecoder reads from b.
func NewDecoder(b []byte) *Decoder { return &Decoder{rest: b} }

// Done reports whether everything was there, and nothing is left.
func (f *Decoder) Done() bool { return !f.failed && len(f.rest) == 0 }

// Failed reports whether something was not there.
func (f *Decoder) Failed() bool { return f.failed }
