package document

import (
	"bytes"
	"iter"
)

// member is one member of an object in compact form: the name with its
// quotes, and the value, both as they stand there.
type member struct{ name, value []byte }

// members calls yield for each member of a compact object, in order.
func members(object []byte) func(yield func(member) bool) {
	return func(yield func(member) bool) {
		if len(object) <= len("{}") {
			return
		}
		for at := 1; at < len(object); {
			nameEnd := skipString(object, at)
			valueEnd := skipValue(object, nameEnd+1)
			if !yield(member{object[at:nameEnd], object[nameEnd+1 : valueEnd]}) {
				return
			}
			at = valueEnd + 1 // past the comma or the brace
		}
	}
}

// get returns the value of a member, or nil.
func get(object, name []byte) []byte {
	for m := range members(object) {
		if bytes.Equal(m.name, name) {
			return m.value
		}
	}
	return nil
}

// IsObject reports whether a compact value is an object.
func IsObject(value []byte) bool { return isObject(value) }

func isObject(value []byte) bool { return len(value) > 0 && value[0] == '{' }

func isArray(value []byte) bool { return len(value) > 0 && value[0] == '[' }

// skipString returns the place after the string that begins at i.
func skipString(b []byte, i int) int {
	for i++; ; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// skipValue returns the place after the value that begins at i.
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		for depth := 0; ; {
			switch b[i] {
			case '"':
				i = skipString(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' {
		i++
	}
	return i
}

// Elements returns the elements of a compact array in order; of anything else none.
func Elements(value []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if len(value) <= len("[]") || value[0] != '[' {
			return
		}
		for at := 1; at < len(value); {
			end := skipValue(value, at)
			if !yield(value[at:end]) {
				return
			}
			at = end + 1 // past the comma or the bracket
		}
	}
}

// children returns the values of an object's members, or an array's elements.
func children(value []byte) iter.Seq[[]byte] {
	if !isObject(value) {
		return Elements(value)
	}
	return func(yield func([]byte) bool) {
		for m := range members(value) {
			if !yield(m.value) {
				return
			}
		}
	}
}
