package document

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// JSONPatch is a JSON Patch (RFC 6902): operations that are done in order, all or
// none. Immutable.
type JSONPatch struct {
	ops []operation
}

type operation struct {
	name       string
	path, from Pointer
	value      []byte // compact
}

// maxOperations bounds the work of one patch: each rewrites the document.
const maxOperations = 1024

// ParseJSONPatch reads a JSON Patch as strictly as Parse. maxSize limits its
// compact form in bytes.
func ParseJSONPatch(src []byte, maxSize int) (JSONPatch, error) {
	compact, err := ParseValue(src, maxSize)
	if err != nil {
		return JSONPatch{}, err
	}
	if !isArray(compact) {
		return JSONPatch{}, fmt.Errorf("%w: a JSON Patch is an array", ErrMalformed)
	}
	// The texts of values stay as they are: numbers keep theirs.
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(compact, &list); err != nil {
		return JSONPatch{}, fmt.Errorf("%w: an operation of a JSON Patch is an object", ErrMalformed)
	}
	if len(list) > maxOperations {
		return JSONPatch{}, fmt.Errorf("%w: more than %d operations", ErrTooLarge, maxOperations)
	}
	p := JSONPatch{ops: make([]operation, 0, len(list))}
	for i, members := range list {
		op, err := parseOperation(members)
		if err != nil {
			return JSONPatch{}, fmt.Errorf("operation %d: %w", i, err)
		}
		p.ops = append(p.ops, op)
	}
	return p, nil
}

// Len returns how many operations there are.
func (p JSONPatch) Len() int { return len(p.ops) }

// Within returns the patch for a document that holds at a place what p was
// written for.
func (p JSONPatch) Within(at Pointer) JSONPatch {
	if len(at) == 0 {
		return p
	}
	ops := slices.Clone(p.ops)
	for i := range ops {
		ops[i].path = slices.Concat(at, ops[i].path)
		if ops[i].name == "move" || ops[i].name == "copy" {
			ops[i].from = slices.Concat(at, ops[i].from)
		}
	}
	return JSONPatch{ops: ops}
}

func parseOperation(members map[string]json.RawMessage) (op operation, err error) {
	text := func(name string) (string, error) {
		raw, ok := members[name]
		if !ok || raw[0] != '"' {
			return "", fmt.Errorf("%w: expected a string member %q", ErrMalformed, name)
		}
		return unquote(raw), nil
	}
	pointer := func(name string) (Pointer, error) {
		s, err := text(name)
		if err != nil {
			return nil, err
		}
		return ParsePointer(s)
	}
	if op.name, err = text("op"); err != nil {
		return op, err
	}
	if op.path, err = pointer("path"); err != nil {
		return op, err
	}
	switch op.name {
	case "add", "replace", "test":
		raw, ok := members["value"]
		if !ok {
			return op, fmt.Errorf("%w: no \"value\"", ErrMalformed)
		}
		op.value = raw
	case "move", "copy":
		if op.from, err = pointer("from"); err != nil {
			return op, err
		}
		if op.name == "move" && len(op.from) < len(op.path) && strings.Join(op.path[:len(op.from)], "/") == strings.Join(op.from, "/") {
			return op, fmt.Errorf("%w: a value cannot be moved into itself", ErrMalformed)
		}
	case "remove":
	default:
		return op, fmt.Errorf("%w: unknown \"op\"", ErrMalformed)
	}
	return op, nil
}

// Apply returns the compact document with all operations done. It returns
// ErrTest if a test fails, ErrNoPath if a place is not there, ErrTooLarge if
// the document would exceed maxSize on the way, and what Parse would refuse
// of the result; doc is never modified.
func (p JSONPatch) Apply(doc []byte, maxSize int) ([]byte, error) {
	var err error
	for i, op := range p.ops {
		if doc, err = op.apply(doc); err == nil && maxSize > 0 && len(doc) > maxSize {
			err = fmt.Errorf("%w: more than %d bytes", ErrTooLarge, maxSize)
		}
		if err != nil {
			return nil, fmt.Errorf("operation %d: %w", i, err)
		}
	}
	return checked(doc)
}

func (o *operation) apply(doc []byte) ([]byte, error) {
	switch o.name {
	case "test":
		if got, ok := At(doc, o.path); !ok || !equal(got, o.value) {
			return nil, ErrTest
		}
		return doc, nil
	case "add":
		return o.add(doc, o.value)
	case "replace":
		if len(o.path) == 0 {
			return o.value, nil
		}
		return rewrite(doc, o.path, false, func(container []byte, token string) ([]byte, error) {
			from, to, ok := locate(container, token)
			if !ok {
				return nil, ErrNoPath
			}
			return splice(container, from, to, o.value), nil
		})
	case "remove":
		if len(o.path) == 0 {
			return nil, ErrNoPath // there is no document without a document
		}
		return rewrite(doc, o.path, false, remove)
	}
	value, ok := At(doc, o.from)
	if !ok {
		return nil, ErrNoPath
	}
	if o.name == "move" && len(o.from) > 0 {
		var err error
		if doc, err = rewrite(doc, o.from, false, remove); err != nil {
			return nil, err
		}
	}
	return o.add(doc, value)
}

func (o *operation) add(doc, value []byte) ([]byte, error) {
	if len(o.path) == 0 {
		return value, nil
	}
	return rewrite(doc, o.path, false, func(container []byte, token string) ([]byte, error) {
		if from, to, ok := locate(container, token); ok && isObject(container) {
			return splice(container, from, to, value), nil
		}
		return insert(container, token, value)
	})
}

// equal compares two compact values as RFC 6902 §4.6 says: members in any
// order, numbers by what they are.
func equal(a, b []byte) bool {
	if string(a) == string(b) {
		return true
	}
	switch {
	case isObject(a) && isObject(b):
		other := index(b)
		n := 0
		for m := range members(a) {
			v, ok := other[string(m.name)]
			if !ok || !equal(m.value, v) {
				return false
			}
			n++
		}
		return n == len(other)
	case isArray(a) && isArray(b):
		n := length(a)
		if n != length(b) {
			return false
		}
		for i, j := 1, 1; n > 0; n-- {
			endA, endB := skipValue(a, i), skipValue(b, j)
			if !equal(a[i:endA], b[j:endB]) {
				return false
			}
			i, j = endA+1, endB+1
		}
		return true
	case isNumber(a) && isNumber(b):
		return sameNumber(string(a), string(b))
	}
	return false
}

func isNumber(value []byte) bool {
	return len(value) > 0 && (value[0] == '-' || '0' <= value[0] && value[0] <= '9')
}

// sameNumber compares integers digit by digit, however long, and everything
// else as the doubles that they name: I-JSON promises no more.
func sameNumber(a, b string) bool {
	if !strings.ContainsAny(a+b, ".eE") {
		return a == b || a == "-0" && b == "0" || a == "0" && b == "-0"
	}
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err1 == nil && err2 == nil && x == y
}
