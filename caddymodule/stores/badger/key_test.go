package badger

import (
	"strings"
	"testing"
)

func TestEncryptionKeys(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		size int
		bad  bool
	}{
		"none":               {"", 0, false},
		"16 bytes of hex":    {strings.Repeat("ab", 16), 16, false},
		"32 bytes of hex":    {strings.Repeat("ab", 32), 32, false},
		"24 bytes of base64": {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", 24, false},
		"base64 url":         {"_-ECAwQFBgcICQoLDA0ODw==", 16, false},
		"a newline after it": {strings.Repeat("ab", 16) + "\n", 16, false},
		"too short":          {"abcd", 0, true},
		"a phrase":           {"correct horse battery staple", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := DecodeKey(c.text)
			if len(key) != c.size || (err != nil) != c.bad {
				t.Errorf("%d bytes, %v", len(key), err)
			}
			if err != nil && strings.Contains(err.Error(), c.text) {
				t.Errorf("the error repeats the key: %v", err)
			}
		})
	}
}
