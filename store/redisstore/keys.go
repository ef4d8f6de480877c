package redisstore

import (
	"encoding/base64"
	"strings"
)

// isPlain reports whether a character stands for itself in the name of a key.
func isPlain(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// base returns the beginning of the keys of a manager. The part in braces is
// their hash tag. Any other name than one of plain characters is encoded, so
// that none is another one's, or forges a key.
func (s *Store) base(manager string) string {
	tag := manager
	if tag == "" || strings.ContainsFunc(tag, func(r rune) bool { return !isPlain(r) }) {
		tag = "~" + base64.RawURLEncoding.EncodeToString([]byte(manager))
	}
	return s.Prefix + ":{" + tag + "}:"
}

// Keys and channels of the whole store; no manager has the hash tag "$".
func (s *Store) metaKey() string     { return s.Prefix + ":{$}:meta" }
func (s *Store) managersKey() string { return s.Prefix + ":{$}:managers" }
func (s *Store) claimKey(listener string) string {
	return s.Prefix + ":{$}:claim:" + listener
}
func (s *Store) channel() string { return s.Prefix + ":filed" }
