package document

import (
	"strconv"
	"strings"
	"unicode"
)

// Scalar returns the value of a raw string, number or boolean: a string without
// control characters, an int64 if the number is one, else a float64, or a bool.
// Anything else has none.
func Scalar(raw []byte) (value any, ok bool) {
	if len(raw) == 0 {
		return nil, false
	}
	switch raw[0] {
	case '{', '[', 'n':
		return nil, false
	case 't', 'f':
		return raw[0] == 't', true
	case '"':
		return strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return -1
			}
			return r
		}, unquote(raw)), true
	}
	text := string(raw)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && text != "-0" {
		return n, true
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}
