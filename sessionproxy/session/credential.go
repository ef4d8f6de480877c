package session

import (
	"crypto/rand"

	"github.com/sessionproxy/sessionproxy/store"
)

// Credential is what a verified ticket says: which session, and by which
// nonce it may be entered. It comes from the ticket layer alone; a manager
// never takes a number from anywhere else.
type Credential struct {
	ID            store.ID // the one-way derivative of Number
	Number, Nonce [16]byte
}

// sameLogin reports whether no login has replaced the ticket of a request that
// has entered. A rotation by timer does not count, nor does the end of its
// grace: what has begun may end.
//
// The first half of a nonce tells: it is another one after each login, and
// stays through rotations by timer.
func (c Credential) sameLogin(rec *store.Record) bool {
	return [loginPart]byte(c.Nonce[:]) == [loginPart]byte(rec.Nonce[:])
}

// loginPart is how much of a nonce stays through rotations by timer. What is
// left is drawn anew, so that a ticket cannot be guessed.
const loginPart = 8

// newNonce returns the nonce of a login, or of a new session.
func newNonce() (nonce [16]byte) {
	_, _ = rand.Read(nonce[:]) // never fails: crypto/rand ends the process instead
	return nonce
}

// rotatedNonce returns the nonce that follows by timer.
func rotatedNonce(nonce [16]byte) [16]byte {
	_, _ = rand.Read(nonce[loginPart:])
	return nonce
}
