package change

import (
	"errors"

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
)

// Op is one write of data. Ops are made for the data that an app was
// shown, and can be made again on newer data. Immutable.
type Op interface {
	// apply returns the changed document. limit bounds what is put together
	// on the way, in bytes.
	apply(doc []byte, limit int) ([]byte, error)
	// rebase applies the op to data that is newer than what it was made
	// for, which was shown.
	rebase(shown, newer []byte, limit int) ([]byte, error)
	// clobbers reports whether the op, made for shown, would undo some of
	// their changes to it.
	clobbers(shown []byte, theirs document.Edits) bool
}

// Replace sets all of the data, a compact document.
func Replace(data []byte) Op { return replace(data) }

// MergePatch makes the changes of a merge patch.
func MergePatch(c document.Edits) Op { return mergePatch{c} }

// MergePatchAt does a merge patch, a compact value, on what is at a place, which
// must be there.
func MergePatchAt(at document.Pointer, patch []byte) Op { return mergePatchAt{at, patch} }

// Add adds numbers. Additions commute: they never conflict with each other.
func Add(a document.Increments) Op { return increment{a} }

// JSONPatch does the operations of a JSON Patch.
func JSONPatch(p document.JSONPatch) Op { return jsonPatch{p} }

// Set puts a compact value at a place; what is missing on the way is made.
func Set(at document.Pointer, value []byte) Op { return setAt{at, value} }

// Remove takes out the value at a place, which must be there.
func Remove(at document.Pointer) Op { return removeAt{at} }

type replace []byte

func (r replace) apply([]byte, int) ([]byte, error) { return r, nil }

func (r replace) rebase(shown, newer []byte, _ int) ([]byte, error) {
	return document.Diff(shown, r).Apply(newer), nil
}

func (r replace) clobbers(shown []byte, theirs document.Edits) bool {
	return document.Diff(shown, r).Overlaps(theirs)
}

type mergePatch struct{ document.Edits }

func (p mergePatch) apply(doc []byte, _ int) ([]byte, error)       { return p.Apply(doc), nil }
func (p mergePatch) rebase(_, newer []byte, _ int) ([]byte, error) { return p.Apply(newer), nil }
func (p mergePatch) clobbers(_ []byte, theirs document.Edits) bool { return p.Overlaps(theirs) }

type increment struct{ document.Increments }

func (a increment) apply(doc []byte, _ int) ([]byte, error) { return a.Apply(doc) }

func (a increment) rebase(_, newer []byte, _ int) ([]byte, error) {
	doc, err := a.Apply(newer)
	if errors.Is(err, document.ErrNotNumber) {
		return nil, conflict(err) // it was a number when the app saw it
	}
	return doc, err
}

func (a increment) clobbers([]byte, document.Edits) bool { return false }

type jsonPatch struct{ document.JSONPatch }

func (p jsonPatch) apply(doc []byte, limit int) ([]byte, error) { return p.Apply(doc, limit) }

func (p jsonPatch) rebase(_, newer []byte, limit int) ([]byte, error) {
	return rebaseWithin(p, newer, limit)
}

func (p jsonPatch) clobbers(shown []byte, theirs document.Edits) bool {
	return clobbers(p, shown, theirs)
}

type mergePatchAt struct {
	at    document.Pointer
	patch []byte
}

func (p mergePatchAt) apply(doc []byte, _ int) ([]byte, error) {
	value, ok := document.At(doc, p.at)
	if !ok {
		return nil, document.ErrNoPath
	}
	if document.IsObject(p.patch) {
		return document.Set(doc, p.at, document.NestedMergePatch(p.patch).ApplyTo(value))
	}
	return document.Set(doc, p.at, p.patch) // it takes the place (RFC 7396 §2)
}

func (p mergePatchAt) rebase(_, newer []byte, limit int) ([]byte, error) {
	return rebaseWithin(p, newer, limit)
}

func (p mergePatchAt) clobbers(shown []byte, theirs document.Edits) bool {
	return clobbers(p, shown, theirs)
}

type setAt struct {
	at    document.Pointer
	value []byte
}

func (s setAt) apply(doc []byte, _ int) ([]byte, error) { return document.Set(doc, s.at, s.value) }
func (s setAt) rebase(_, newer []byte, limit int) ([]byte, error) {
	return rebaseWithin(s, newer, limit)
}
func (s setAt) clobbers(shown []byte, theirs document.Edits) bool {
	return clobbers(s, shown, theirs)
}

type removeAt struct{ at document.Pointer }

func (r removeAt) apply(doc []byte, _ int) ([]byte, error) {
	doc, ok := document.Remove(doc, r.at)
	if !ok && len(r.at) > 0 {
		return nil, document.ErrNoPath
	}
	return doc, nil
}

func (r removeAt) rebase(_, newer []byte, _ int) ([]byte, error) {
	if doc, ok := document.Remove(newer, r.at); ok {
		return doc, nil
	}
	return newer, nil // others have removed it, too
}

func (r removeAt) clobbers(shown []byte, theirs document.Edits) bool {
	return clobbers(r, shown, theirs)
}

// rebaseWithin applies an op to newer data; a conflict if it does not fit any more.
func rebaseWithin(s Op, newer []byte, limit int) ([]byte, error) {
	doc, err := s.apply(newer, limit)
	if errors.Is(err, document.ErrNoPath) || errors.Is(err, document.ErrTest) {
		return nil, conflict(err)
	}
	return doc, err
}

func clobbers(s Op, shown []byte, theirs document.Edits) bool {
	doc, err := s.apply(shown, 0)
	return err == nil && document.Diff(shown, doc).Overlaps(theirs)
}
