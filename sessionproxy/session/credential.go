package session

import (
	"crypto/rand"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Credential is what a verified ticket says: which session, and by which
// nonce it may be entered. It comes from the ticket layer alone; a manager
// never takes a number from anywhere else.
type Credential struct {
	ID            store.ID // the one-way derivative of Number
	Number, Nonce [16]byte
}

// opens reports whether the credential may enter the session: it bears the
// current nonce, or the previous one within its grace.
func (c Credential) opens(rec *store.Record, now time.Time) bool {
	if c.Nonce == rec.Nonce {
		return true
	}
	return c.Nonce == rec.PreviousNonce && now.Before(rec.PreviousUntil)
}

func newNonce() (nonce [16]byte) {
	_, _ = rand.Read(nonce[:]) // never fails: crypto/rand ends the process instead
	return nonce
}
