package jar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrFormat means that a jar cannot be read: it is damaged, or a newer version
// has written it.
var ErrFormat = errors.New("the cookie jar is damaged, or of a newer version")

// Decode reads a jar that Encode has written; of nothing, the empty jar.
// Whatever it takes, Encode writes again byte for byte. The error wraps
// ErrFormat.
func Decode(index, secret []byte) (*Jar, error) {
	if len(index) == 0 && len(secret) == 0 {
		return nil, nil
	}
	j, err := decode(string(index), string(secret))
	if err != nil {
		return nil, err
	}
	return &j, nil
}

func decode(index, secret string) (Jar, error) {
	j, lengths, err := decodeIndex(index)
	if err != nil {
		return Jar{}, err
	}
	r := reader{rest: secret}
	for i := range j.cookies {
		c := &j.cookies[i]
		c.domain = r.domain(c.flags)
		c.value = r.take(uint64(lengths[i]))
	}
	for i := range j.notes {
		n := &j.notes[i]
		n.domain = r.domain(n.flags)
	}
	if r.byte(1) == 1 {
		r.past(&j)
	}
	if r.failed || r.rest != "" || j.isEmpty() {
		return Jar{}, fmt.Errorf("reading the values: %w", ErrFormat)
	}
	return j, nil
}

// past reads the rest as the past of a jar, which has none itself.
func (r *reader) past(j *Jar) {
	j.until = r.number(math.MaxInt64)
	index := r.string()
	if r.failed {
		return
	}
	past, err := decode(index, r.rest)
	if err != nil || past.past != nil {
		r.failed = true
		return
	}
	j.past, r.rest = &past, ""
}

// decodeIndex reads everything but domains, values and the past. The lengths
// are those of the values.
func decodeIndex(index string) (j Jar, lengths [maxCookies]uint32, err error) {
	r := reader{rest: index}
	if r.byte(math.MaxUint8) != format {
		return Jar{}, lengths, fmt.Errorf("reading the index: %w", ErrFormat)
	}
	if n := r.number(maxCookies); n > 0 && !r.failed {
		j.cookies = make([]cookie, n)
	}
	for i := range j.cookies {
		c := &j.cookies[i]
		c.flags, c.changes = flags(r.byte(allFlags)), r.byte(maxChanges+1)
		c.name, c.path = r.string(), r.string()
		c.created, c.expires = r.number(math.MaxInt64), r.number(math.MaxInt64)
		lengths[i] = uint32(r.number(math.MaxInt32))
	}
	if n := r.number(maxCookies); n > 0 && !r.failed {
		j.notes = make([]note, n)
	}
	for i := range j.notes {
		n := &j.notes[i]
		n.flags = flags(r.byte(allFlags))
		n.name, n.path = r.string(), r.string()
	}
	if r.failed || r.rest != "" {
		return Jar{}, lengths, fmt.Errorf("reading the index: %w", ErrFormat)
	}
	return j, lengths, nil
}

// reader takes apart what Encode has written. After a failure all it returns
// is zero.
type reader struct {
	rest   string
	failed bool
}

func (r *reader) byte(most uint8) uint8 {
	s := r.take(1)
	if s == "" || s[0] > most {
		r.failed = true
		return 0
	}
	return s[0]
}

// number reads an unsigned varint of the shortest form.
func (r *reader) number(most int64) int64 {
	var n uint64
	for i := 0; i < len(r.rest) && i < binary.MaxVarintLen64; i++ {
		b := r.rest[i]
		if b < 0x80 {
			if b == 0 && i > 0 || i == binary.MaxVarintLen64-1 && b > 1 {
				break
			}
			if n |= uint64(b) << (7 * i); n > uint64(most) {
				break
			}
			r.rest = r.rest[i+1:]
			return int64(n)
		}
		n |= uint64(b&0x7f) << (7 * i)
	}
	r.failed, r.rest = true, ""
	return 0
}

func (r *reader) string() string { return r.take(uint64(r.number(math.MaxInt32))) }

func (r *reader) take(n uint64) string {
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, ""
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

// domain reads one if the flags say so; it cannot be empty.
func (r *reader) domain(f flags) string {
	if f&hasDomain == 0 {
		return ""
	}
	s := r.string()
	if s == "" {
		r.failed = true
	}
	return s
}
