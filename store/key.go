package store

import (
	"encoding/base64"
	"errors"
)

// Key names one session of one manager. Managers never see each other's keys.
type Key struct {
	Manager string
	ID      ID
}

// ID names a session in logs, listings and to the app. It is a one-way
// derivative of the number inside the browser's ticket: useless as a credential.
type ID [16]byte

// String returns the 22 characters of A-Za-z0-9_- that users see.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// errBadID says that a text is not a session id.
var errBadID = errors.New("a session id has 22 characters of A-Za-z0-9_-")

// ParseID reads what String wrote, and nothing else: each id has exactly one spelling.
func ParseID(s string) (ID, error) {
	var id ID
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(raw) != len(id) {
		return ID{}, errBadID
	}
	if id = ID(raw); id.String() != s { // the decoder takes line breaks, and any last bits
		return ID{}, errBadID
	}
	return id, nil
}
