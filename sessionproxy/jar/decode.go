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
	j := new(Jar)
	if err := j.decode(string(index), string(secret)); err != nil {
		return nil, err
	}
	return j, nil
}

func (j *Jar) decode(index, secret string) error {
	var lengths [maxCookies]uint32
	if err := j.decodeIndex(index, &lengths); err != nil {
		return err
	}
	r := reader{rest: secret}
	for i := range j.cookies {
		c := &j.cookies[i]
		c.domain = r.domain(c.flags)
		c.value = r.take(int(lengths[i]))
	}
	for i := range j.notes {
		n := &j.notes[i]
		n.domain = r.domain(n.flags)
	}
	if r.byte(1) == 1 {
		r.past(j)
	}
	if r.failed || r.rest != "" || j.isEmpty() {
		return fmt.Errorf("reading the values: %w", ErrFormat)
	}
	return nil
}

// past reads the rest as the past of a jar, which has none itself.
func (r *reader) past(j *Jar) {
	j.until = r.number(math.MaxInt64)
	index := r.string()
	if r.failed {
		return
	}
	if index == "" && r.rest == "" { // there was no cookie
		j.past = new(Jar)
		return
	}
	past := new(Jar)
	if err := past.decode(index, r.rest); err != nil || past.past != nil {
		r.failed = true
		return
	}
	j.past, r.rest = past, ""
}

// decodeIndex reads everything but domains, values and the past. The lengths
// are those of the values.
func (j *Jar) decodeIndex(index string, lengths *[maxCookies]uint32) error {
	r := reader{rest: index}
	if r.byte(math.MaxUint8) != format {
		return fmt.Errorf("reading the index: %w", ErrFormat)
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
		return fmt.Errorf("reading the index: %w", ErrFormat)
	}
	return nil
}

// reader takes apart what Encode has written. After a failure all it returns
// is zero.
type reader struct {
	rest   string
	failed bool
}

func (r *reader) byte(most uint8) uint8 {
	if r.rest == "" || r.rest[0] > most {
		r.failed, r.rest = true, ""
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// number reads an unsigned varint of the shortest form.
func (r *reader) number(most int64) int64 {
	if r.rest != "" && r.rest[0] < 0x80 && int64(r.rest[0]) <= most {
		return int64(r.byte(0x7f))
	}
	return r.longNumber(most)
}

func (r *reader) longNumber(most int64) int64 {
	var n uint64
	for i := 0; i < len(r.rest) && i < binary.MaxVarintLen64-1; i++ { // nine bytes hold any int64
		b := r.rest[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if b == 0 || n > uint64(most) {
				break
			}
			r.rest = r.rest[i+1:]
			return int64(n)
		}
	}
	r.failed, r.rest = true, ""
	return 0
}

func (r *reader) string() string { return r.take(int(r.number(math.MaxInt32))) }

func (r *reader) take(n int) string {
	if n > len(r.rest) {
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
