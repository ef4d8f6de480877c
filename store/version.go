package store

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
)

// Version identifies one save of one record. The counter orders the saves of
// one history; the random nonce tells apart two histories that forked, and
// makes the repetition of a save recognisable. The zero Version is that of a
// record that does not exist.
type Version struct {
	Counter uint64
	Nonce   uint64
}

// Next returns the version of a save that follows v. Two calls never return
// the same version.
func (v Version) Next() Version {
	return Version{Counter: v.Counter + 1, Nonce: RandomUint64()}
}

// NextMinor returns the version of a save that follows v and changes only what
// no writer builds upon, a ticket for instance: the counter moves, and the nonce
// stays. Two such saves of one version make the same one, so its user
// looks at what was stored.
func (v Version) NextMinor() Version { return Version{Counter: v.Counter + 1, Nonce: v.Nonce} }

// Same reports whether one of the versions is the other, or followed from it
// by NextMinor alone.
func (v Version) Same(o Version) bool { return v.Nonce == o.Nonce && v.IsZero() == o.IsZero() }

// IsZero reports whether v is the version of a record that does not exist.
func (v Version) IsZero() bool { return v == Version{} }

// String returns the opaque text that apps see: "" for the zero Version,
// else counter, hyphen, nonce.
func (v Version) String() string {
	if v.IsZero() {
		return ""
	}
	return string(v.Append(nil))
}

// Append appends what String returns to dst.
func (v Version) Append(dst []byte) []byte {
	if v.IsZero() {
		return dst
	}
	var nonce [8]byte
	binary.BigEndian.PutUint64(nonce[:], v.Nonce)
	dst = strconv.AppendUint(dst, v.Counter, 10)
	dst = append(dst, '-')
	return hex.AppendEncode(dst, nonce[:])
}

var errBadVersion = errors.New("not a version that this proxy issued")

// ParseVersion reads what String wrote, and nothing else.
func ParseVersion(s string) (Version, error) {
	if s == "" {
		return Version{}, nil
	}
	counter, nonce, ok := strings.Cut(s, "-")
	if !ok || len(nonce) != 16 {
		return Version{}, errBadVersion
	}
	c, err1 := strconv.ParseUint(counter, 10, 64)
	n, err2 := strconv.ParseUint(nonce, 16, 64)
	v := Version{Counter: c, Nonce: n}
	if err1 != nil || err2 != nil || v.String() != s {
		return Version{}, errBadVersion
	}
	return v, nil
}

// NewIncarnation returns the random number that tells one life of a key
// from another. It is never zero.
func NewIncarnation() uint64 { return RandomUint64() | 1 }

// RandomUint64 returns a number of which all bits are random.
func RandomUint64() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return binary.BigEndian.Uint64(b[:])
}
