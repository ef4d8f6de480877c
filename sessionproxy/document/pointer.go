package document

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Pointer is a place in a document: the reference tokens of a JSON Pointer
// (RFC 6901), decoded. The empty Pointer is the document itself.
type Pointer []string

// ParsePointer reads the text of a JSON Pointer.
func ParsePointer(text string) (Pointer, error) {
	if text == "" {
		return nil, nil
	}
	if text[0] != '/' {
		return nil, fmt.Errorf("%w: a pointer begins with a slash", ErrMalformed)
	}
	tokens := strings.Split(text[1:], "/")
	for i, token := range tokens {
		var err error
		if tokens[i], err = DecodeToken(token); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

// DecodeToken decodes one reference token: ~1 is a slash, ~0 a tilde.
// Bytes that are not UTF-8 name nothing.
func DecodeToken(token string) (string, error) {
	if !utf8.ValidString(token) {
		return "", fmt.Errorf("%w: a pointer is UTF-8", ErrMalformed)
	}
	for i := range len(token) {
		if token[i] == '~' && (i+1 == len(token) || token[i+1] != '0' && token[i+1] != '1') {
			return "", fmt.Errorf("%w: ~ is written ~0 in a pointer", ErrMalformed)
		}
	}
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~"), nil
}

// At returns the raw value at a place, and whether there is one. In an array
// a token is an index without leading zeros.
func At(doc []byte, p Pointer) ([]byte, bool) {
	for _, token := range p {
		from, to, ok := locate(doc, token)
		if !ok {
			return nil, false
		}
		doc = doc[from:to]
	}
	return doc, true
}

// locate returns where in a compact object or array the value of a token stands.
func locate(container []byte, token string) (from, to int, ok bool) {
	if len(container) <= len("{}") {
		return 0, 0, false
	}
	switch container[0] {
	case '{':
		name := AppendString(nil, token)
		for at := 1; at < len(container); at = to + 1 {
			end := skipString(container, at)
			from, to = end+1, skipValue(container, end+1)
			if string(container[at:end]) == string(name) {
				return from, to, true
			}
		}
	case '[':
		index, valid := parseIndex(token)
		for at := 1; valid && at < len(container); at = to + 1 {
			if to = skipValue(container, at); index == 0 {
				return at, to, true
			}
			index--
		}
	}
	return 0, 0, false
}

// parseIndex reads an array index as RFC 6901 §4 spells it.
func parseIndex(token string) (int, bool) {
	n, err := strconv.ParseUint(token, 10, 31)
	return int(n), err == nil && token == strconv.FormatUint(n, 10)
}

// length returns how many elements a compact array has.
func length(array []byte) (n int) {
	if len(array) <= len("[]") {
		return 0
	}
	for at := 1; at < len(array); n++ {
		at = skipValue(array, at) + 1
	}
	return n
}

// Set returns the document with a value at a place: a member is added or
// replaced, an element replaced, and one appended where the token is "-" or
// the length of the array. Missing members on the way become objects. It
// returns ErrNoPath if the way leads through something else, and refuses what
// Parse would refuse of the result. value is compact.
func Set(doc []byte, p Pointer, value []byte) ([]byte, error) {
	if len(p) == 0 {
		return checked(value)
	}
	out, err := rewrite(doc, p, true, func(container []byte, token string) ([]byte, error) {
		if from, to, ok := locate(container, token); ok {
			return splice(container, from, to, value), nil
		}
		return insert(container, token, value)
	})
	if err != nil {
		return nil, err
	}
	return checked(out)
}

// Remove returns the document without the value at a place, and whether there
// was one. Removing the whole document leaves an empty object.
func Remove(doc []byte, p Pointer) ([]byte, bool) {
	if len(p) == 0 {
		return emptyObject, len(doc) > len(emptyObject)
	}
	out, err := rewrite(doc, p, false, remove)
	return out, err == nil
}

// rewrite changes the container that holds the last token, and writes the
// containers around it anew.
func rewrite(container []byte, p Pointer, parents bool, last func(container []byte, token string) ([]byte, error)) ([]byte, error) {
	if len(p) == 1 {
		return last(container, p[0])
	}
	if from, to, ok := locate(container, p[0]); ok {
		inner, err := rewrite(container[from:to], p[1:], parents, last)
		if err != nil {
			return nil, err
		}
		return splice(container, from, to, inner), nil
	}
	if !parents || !isObject(container) {
		return nil, ErrNoPath
	}
	inner, err := rewrite(emptyObject, p[1:], parents, last)
	if err != nil {
		return nil, err
	}
	return insert(container, p[0], inner)
}

func splice(b []byte, from, to int, value []byte) []byte {
	return slices.Concat(b[:from], value, b[to:])
}

// insert adds a member that is not there, or an element before the index.
func insert(container []byte, token string, value []byte) ([]byte, error) {
	switch {
	case isObject(container):
		return appendTo(container, slices.Concat(AppendString(nil, token), []byte{':'}, value)), nil
	case !isArray(container):
		return nil, ErrNoPath
	}
	if from, _, ok := locate(container, token); ok {
		return slices.Concat(container[:from], value, []byte{','}, container[from:]), nil
	}
	if index, ok := parseIndex(token); token != "-" && (!ok || index != length(container)) {
		return nil, ErrNoPath
	}
	return appendTo(container, value), nil
}

// appendTo adds the text of a member or an element at the end.
func appendTo(container, text []byte) []byte {
	end := len(container) - 1
	if end == 1 { // it is empty
		return splice(container, end, end, text)
	}
	return slices.Concat(container[:end], []byte{','}, text, container[end:])
}

// remove takes out a member or an element.
func remove(container []byte, token string) ([]byte, error) {
	from, to, ok := locate(container, token)
	if !ok {
		return nil, ErrNoPath
	}
	if isObject(container) {
		from -= len(AppendString(nil, token)) + 1
	}
	switch {
	case container[to] == ',':
		to++
	case container[from-1] == ',':
		from--
	}
	return splice(container, from, to, nil), nil
}

// checked returns a document that was put together from compact parts, unless
// Parse would refuse it.
func checked(doc []byte) ([]byte, error) {
	if !isObject(doc) {
		return nil, fmt.Errorf("%w: the data must be an object", ErrMalformed)
	}
	for m := range members(doc) {
		if m.name[1] == '$' {
			return nil, ErrReserved
		}
	}
	depth := 0
	for i := 0; i < len(doc); i++ {
		switch doc[i] {
		case '"':
			i = skipString(doc, i) - 1
		case '{', '[':
			if depth++; depth > MaxDepth {
				return nil, fmt.Errorf("%w: more than %d levels", ErrMalformed, MaxDepth)
			}
		case '}', ']':
			depth--
		}
	}
	return doc, nil
}
