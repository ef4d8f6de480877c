package ticket

import (
	"crypto/rand"
	"crypto/sha256"
)

// Ticket is the content of a ticket: a session's number, and the nonce that
// lets this ticket in and an older one not.
type Ticket struct {
	Number, Nonce [16]byte
}

// New returns a ticket for a session that does not exist yet: 128 random bits
// of number, and of nonce.
func New() (t Ticket) {
	_, _ = rand.Read(t.Number[:]) // never fails: crypto/rand ends the process instead
	return t.Rotate()
}

// Rotate returns the ticket with a fresh nonce.
func (t Ticket) Rotate() Ticket {
	_, _ = rand.Read(t.Nonce[:])
	return t
}

// ID returns the name of the session: a one-way derivative of its number,
// unrelated between scopes. It is not enough to make a ticket.
func (t Ticket) ID(scope string) (id [16]byte) {
	buf := make([]byte, 0, 128)
	buf = append(buf, "sessionproxy session id\x00"...)
	buf = append(buf, t.Number[:]...)
	buf = append(buf, scope...)
	sum := sha256.Sum256(buf)
	copy(id[:], sum[:])
	return id
}
