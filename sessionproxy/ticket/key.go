package ticket

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// KeyLen is how many bytes a key has.
const KeyLen = 32

// NewKey returns a random key.
func NewKey() []byte {
	key := make([]byte, KeyLen)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
	return key
}

// ParseKey reads a key of KeyLen bytes as hex, or as base64 of either
// alphabet, with or without padding. The error never repeats the text.
func ParseKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if key, err := hex.DecodeString(text); err == nil && len(key) == KeyLen {
		return key, nil
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	if key, err := base64.RawStdEncoding.DecodeString(plain); err == nil && len(key) == KeyLen {
		return key, nil
	}
	return nil, fmt.Errorf("a ticket key must be %d bytes as hex or base64; `openssl rand -hex %d` makes one", KeyLen, KeyLen)
}
