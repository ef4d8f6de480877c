package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/sessionproxy/sessionproxy/store"
)

// A cookie jar is stored in two parts: an index that operators may read, and
// what opens the apps, sealed:
//
//	format | length of the index | index | nonce | AES-256-GCM of the secret part
//
// The key follows from the number of the session's ticket, which the store
// does not have: neither a copy of the store nor of the ticket keys opens a
// jar. The seal covers the index, and is bound to manager, session and
// incarnation: a jar that was moved or changed does not open.
const sealFormat = 1

// maxIndex bounds the index of a stored jar, in bytes.
const maxIndex = 1 << 20

var (
	errNewerSeal  = errors.New("cookie jar is of a newer format")
	errBrokenSeal = errors.New("cookie jar cannot be opened")
)

// seal opens and seals the cookie jar of one session. Safe for concurrent use.
type seal struct {
	aead   cipher.AEAD
	key    store.Key
	number [16]byte
}

func newSeal(key store.Key, number [16]byte) seal {
	room := make([]byte, 0, 128) // for all that is derived from: one allocation
	room = append(room, number[:]...)
	room = append(append(room, "sessionproxy cookie jar\x00"...), key.Manager...)
	mac := hmac.New(sha256.New, room[:len(number)])
	mac.Write(room[len(number):])
	block, err := aes.NewCipher(mac.Sum(room[:0]))
	if err != nil {
		panic(err) // the key has the right length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return seal{aead: aead, key: key, number: number}
}

// close returns what is stored.
func (s seal) close(incarnation uint64, index, secret []byte) []byte {
	out := make([]byte, 0, 1+binary.MaxVarintLen32+len(index)+len(secret)+s.aead.Overhead())
	out = append(out, sealFormat)
	out = binary.AppendUvarint(out, uint64(len(index)))
	out = append(out, index...)
	return s.aead.Seal(out, nil, secret, s.bound(incarnation, out))
}

// open returns both parts of what is stored.
func (s seal) open(incarnation uint64, stored []byte) (index, secret []byte, err error) {
	index, rest, err := splitSealed(stored)
	if err != nil {
		return nil, nil, err
	}
	secret, err = s.aead.Open(nil, nil, rest, s.bound(incarnation, stored[:len(stored)-len(rest)]))
	if err != nil {
		return nil, nil, errBrokenSeal
	}
	return index, secret, nil
}

// bound returns what a seal is bound to: the session, and what stands before
// the nonce.
func (s seal) bound(incarnation uint64, head []byte) []byte {
	b := make([]byte, 0, 1+len(s.key.Manager)+len(s.key.ID)+8+len(head))
	b = append(b, byte(len(s.key.Manager))) // CheckID bounds it
	b = append(b, s.key.Manager...)
	b = append(b, s.key.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, incarnation)
	return append(b, head...)
}

// splitSealed returns the index of a stored jar, and what follows it.
func splitSealed(stored []byte) (index, rest []byte, err error) {
	if len(stored) == 0 {
		return nil, nil, errBrokenSeal
	}
	if stored[0] > sealFormat {
		return nil, nil, errNewerSeal
	}
	n, width := binary.Uvarint(stored[1:])
	if stored[0] != sealFormat || width <= 0 || n > maxIndex || n > uint64(len(stored)-1-width) {
		return nil, nil, errBrokenSeal
	}
	rest = stored[1+width:]
	return rest[:n:n], rest[n:], nil
}
