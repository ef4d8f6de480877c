package document

import (
	"strconv"
	"strings"
	"unicode"
)

// Lookup returns the raw value at a path of names, and indexes of arrays,
// with dots between, and whether it is there. Names that hold a dot cannot be
// reached.
func Lookup(doc []byte, path string) ([]byte, bool) {
	value := doc
	for step := range strings.SplitSeq(path, ".") {
		switch {
		case isObject(value):
			value = get(value, AppendString(nil, step))
		case len(value) > 0 && value[0] == '[':
			value = element(value, step)
		default:
			return nil, false
		}
		if value == nil {
			return nil, false
		}
	}
	return value, true
}

// element returns the value at an index of a compact array, or nil.
func element(array []byte, index string) []byte {
	n, err := strconv.ParseUint(index, 10, 31)
	if err != nil || len(array) <= len("[]") {
		return nil
	}
	for at := 1; at < len(array); n-- {
		end := skipValue(array, at)
		if n == 0 {
			return array[at:end]
		}
		at = end + 1
	}
	return nil
}

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
