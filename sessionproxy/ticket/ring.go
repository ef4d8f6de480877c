package ticket

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"sync"
)

// What a ticket is refused for; test with errors.Is.
var (
	// ErrMalformed: not of the form of a ticket at all.
	ErrMalformed = errors.New("ticket is malformed")
	// ErrForged: signed by no key of the ring, or for another scope.
	ErrForged = errors.New("ticket is not signed by this ring")
)

// The parts of a ticket before encoding: key id, number, nonce, MAC.
const (
	keyIDLen = 4
	macLen   = 16
	bodyLen  = keyIDLen + 16 + 16
	rawLen   = bodyLen + macLen
)

// Len is how many characters a ticket has.
const Len = (rawLen*8 + 5) / 6

var encoding = base64.RawURLEncoding.Strict()

// Ring signs with its first key and verifies with each. Safe for concurrent use.
type Ring struct {
	keys []*key
}

type key struct {
	id    [keyIDLen]byte
	start string    // what every ticket of the key begins with: the whole characters of id
	macs  sync.Pool // of *macer: a keyed HMAC costs four blocks to set up
}

// macer is what computing one MAC takes, kept together: passed to an
// interface, the buffers would be made anew each time.
type macer struct {
	hash hash.Hash
	msg  []byte
	sum  [sha256.Size]byte
}

// NewRing returns the ring of the keys given, newest first, each of KeyLen bytes.
func NewRing(keys ...[]byte) (*Ring, error) {
	if len(keys) == 0 {
		return nil, errors.New("making key ring: no key")
	}
	r := &Ring{}
	for i, secret := range keys {
		if len(secret) != KeyLen {
			return nil, fmt.Errorf("making key ring: key %d has %d bytes, not %d", i+1, len(secret), KeyLen)
		}
		k := newKey(secret)
		for j, other := range r.keys {
			if other.id == k.id {
				return nil, fmt.Errorf("making key ring: keys %d and %d are the same", j+1, i+1)
			}
		}
		r.keys = append(r.keys, k)
	}
	return r, nil
}

func newKey(secret []byte) *key {
	secret = bytes.Clone(secret)
	k := &key{}
	k.macs.New = func() any { return &macer{hash: hmac.New(sha256.New, secret)} }
	id := hmac.New(sha256.New, secret)
	id.Write([]byte("sessionproxy key id"))
	copy(k.id[:], id.Sum(nil))
	k.start = encoding.EncodeToString(k.id[:])[:keyIDLen*8/6]
	return k
}

// mac appends the MAC over the scope and the body: HMAC-SHA-256 (RFC 2104),
// of which 128 bits are kept. The scope's length comes first, so that no scope
// and body can be taken for another pair.
func (k *key) mac(dst []byte, scope string, body []byte) []byte {
	m := k.macs.Get().(*macer)
	defer k.macs.Put(m)
	m.hash.Reset()
	m.msg = append(m.msg[:0], "sessionproxy ticket\x00"...)
	m.msg = append(m.msg, byte(len(scope)>>8), byte(len(scope))) //nolint:gosec // a body has one length, so that a scope too long for two bytes is no other pair
	m.msg = append(m.msg, scope...)
	m.msg = append(m.msg, body...)
	m.hash.Write(m.msg)
	return append(dst, m.hash.Sum(m.sum[:0])[:macLen]...)
}

// Sign returns the text of the ticket for a scope, the manager's name, of at
// most 65,535 bytes. It has Len characters of A-Za-z0-9_-.
func (r *Ring) Sign(scope string, t Ticket) string {
	k := r.keys[0]
	raw := make([]byte, 0, rawLen)
	raw = append(raw, k.id[:]...)
	raw = append(raw, t.Number[:]...)
	raw = append(raw, t.Nonce[:]...)
	raw = k.mac(raw, scope, raw)
	return encoding.EncodeToString(raw)
}

// Verify returns the content of a ticket that this ring signed for the scope,
// or ErrMalformed, or ErrForged. It takes the same time for every wrong MAC.
func (r *Ring) Verify(scope, text string) (Ticket, error) {
	if len(text) != Len {
		return Ticket{}, ErrMalformed
	}
	// The decoder skips line breaks; with the exact length, that shows.
	var src [Len]byte
	copy(src[:], text)
	var raw [rawLen]byte
	if n, err := encoding.Decode(raw[:], src[:]); err != nil || n != rawLen {
		return Ticket{}, ErrMalformed
	}
	for _, k := range r.keys {
		if [keyIDLen]byte(raw[:keyIDLen]) != k.id {
			continue
		}
		var sum [macLen]byte
		if !hmac.Equal(k.mac(sum[:0], scope, raw[:bodyLen]), raw[bodyLen:]) {
			return Ticket{}, ErrForged
		}
		return Ticket{
			Number: [16]byte(raw[keyIDLen:]),
			Nonce:  [16]byte(raw[keyIDLen+16:]),
		}, nil
	}
	return Ticket{}, ErrForged
}
