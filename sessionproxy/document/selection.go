package document

import (
	"errors"
	"iter"
	"slices"
	"strings"
)

// Selection is a path that can lead to many values: that of Lookup, in which a
// step of * stands for every member of an object and every element of an
// array. Members named * cannot be reached by their name.
type Selection []string

// errSelection says that a text is no path.
var errSelection = errors.New("a path is names, indexes and * with dots between, at most 32 of them")

// ParseSelection reads the steps of a path, which are not empty.
func ParseSelection(path string) (Selection, error) {
	steps := strings.Split(path, ".")
	if len(steps) > MaxDepth {
		return nil, errSelection
	}
	if slices.Contains(steps, "") {
		return nil, errSelection
	}
	return steps, nil
}

// In returns the raw values that the path leads to in a compact document, in
// the order in which they stand there.
func (s Selection) In(doc []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { s.walk(doc, yield) }
}

// walk reports whether the walk is to go on.
func (s Selection) walk(value []byte, yield func([]byte) bool) bool {
	if len(s) == 0 {
		return yield(value)
	}
	if s[0] == "*" {
		for v := range children(value) {
			if !s[1:].walk(v, yield) {
				return false
			}
		}
		return true
	}
	next, ok := Lookup(value, s[0])
	return !ok || s[1:].walk(next, yield)
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
