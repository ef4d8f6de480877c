// Package keytext reads secret keys as operators write them.
package keytext

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Decode reads a key of one of the lengths, in bytes, as hex, or as base64 of
// either alphabet, with or without padding, and with space around it. What is
// both is hex. The error never repeats the text.
func Decode(text string, lengths ...int) ([]byte, error) {
	text = strings.TrimSpace(text)
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	for _, decode := range []func() ([]byte, error){
		func() ([]byte, error) { return hex.DecodeString(text) },
		func() ([]byte, error) { return base64.RawStdEncoding.DecodeString(plain) },
	} {
		if key, err := decode(); err == nil && slices.Contains(lengths, len(key)) {
			return key, nil
		}
	}
	return nil, fmt.Errorf("it must be %s bytes as hex or base64; `openssl rand -hex %d` makes one", list(lengths), slices.Max(lengths))
}

// list names the lengths: 16, 24 or 32.
func list(lengths []int) string {
	last := len(lengths) - 1
	if last == 0 {
		return strconv.Itoa(lengths[0])
	}
	words := make([]string, last)
	for i, n := range lengths[:last] {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ", ") + " or " + strconv.Itoa(lengths[last])
}
