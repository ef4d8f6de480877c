package ticket

import (
	"crypto/rand"

	"github.com/sessionproxy/sessionproxy/internal/keytext"
)

// KeyLen is how many bytes a key has.
const KeyLen = 32

// NewKey returns a random key.
func NewKey() []byte {
	key := make([]byte, KeyLen)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
	return key
}

// ParseKey reads a key of KeyLen bytes as hex or base64. The error never
// repeats the text.
func ParseKey(text string) ([]byte, error) { return keytext.Decode(text, KeyLen) }
