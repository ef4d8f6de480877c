package document

import (
	"errors"
	"iter"
	"slices"
	"strings"
)

// A path is names of members and indexes of arrays with dots between. It is
// what operators write: in a placeholder, or in the options of a listener. An
// index has no leading zeros, as in a [Pointer]; a name that holds a dot cannot
// be reached, nor one that is empty.

// errPath says that a text is no path.
var errPath = errors.New("a path is names, indexes and * with dots between, at most 32 of them")

// parsePath reads the steps of a path.
func parsePath(path string) ([]string, error) {
	steps := strings.Split(path, ".")
	if len(steps) > MaxDepth || slices.Contains(steps, "") {
		return nil, errPath
	}
	return steps, nil
}

// Lookup returns the raw value at a path, and whether it is there. Nothing is
// at a text that is no path. A step of * is a name like others.
func Lookup(doc []byte, path string) ([]byte, bool) {
	steps, err := parsePath(path)
	if err != nil {
		return nil, false
	}
	return At(doc, steps)
}

// Selection is a path that can lead to many values: a step of * stands for
// every member of an object and every element of an array. Members named *
// cannot be reached by their name.
type Selection []string

// ParseSelection reads a path whose steps may be *.
func ParseSelection(path string) (Selection, error) { return parsePath(path) }

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
	from, to, ok := locate(value, s[0])
	return !ok || s[1:].walk(value[from:to], yield)
}
