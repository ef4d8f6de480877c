package session

import (
	"errors"
	"fmt"

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
)

// Step is one write of data. Steps are made for the data that an app was
// shown, and can be made again on newer data. Immutable.
type Step interface {
	// apply returns the changed document. limit bounds what is put together
	// on the way, in bytes.
	apply(doc []byte, limit int) ([]byte, error)
	// again applies the step to data that is newer than what it was made
	// for, which was shown.
	again(shown, newer []byte, limit int) ([]byte, error)
	// undoes reports whether the step, made for shown, would undo some of
	// their changes to it.
	undoes(shown []byte, theirs document.Changes) bool
}

// Replace sets all of the data, a compact document.
func Replace(data []byte) Step { return replace(data) }

// Patch makes the changes of a merge patch.
func Patch(c document.Changes) Step { return patch{c} }

// PatchAt does a merge patch, a compact value, on what is at a place, which
// must be there.
func PatchAt(at document.Pointer, patch []byte) Step { return patchAt{at, patch} }

// Add adds numbers. Additions commute: they never conflict with each other.
func Add(a document.Additions) Step { return addition{a} }

// JSONPatch does the operations of a JSON Patch.
func JSONPatch(p document.Patch) Step { return jsonPatch{p} }

// Set puts a compact value at a place; what is missing on the way is made.
func Set(at document.Pointer, value []byte) Step { return setAt{at, value} }

// Remove takes out the value at a place, which must be there.
func Remove(at document.Pointer) Step { return removeAt{at} }

type replace []byte

func (r replace) apply([]byte, int) ([]byte, error) { return r, nil }

func (r replace) again(shown, newer []byte, _ int) ([]byte, error) {
	return document.Diff(shown, r).Apply(newer), nil
}

func (r replace) undoes(shown []byte, theirs document.Changes) bool {
	return document.Diff(shown, r).Overlaps(theirs)
}

type patch struct{ document.Changes }

func (p patch) apply(doc []byte, _ int) ([]byte, error)       { return p.Apply(doc), nil }
func (p patch) again(_, newer []byte, _ int) ([]byte, error)  { return p.Apply(newer), nil }
func (p patch) undoes(_ []byte, theirs document.Changes) bool { return p.Overlaps(theirs) }

type addition struct{ document.Additions }

func (a addition) apply(doc []byte, _ int) ([]byte, error) { return a.Apply(doc) }

func (a addition) again(_, newer []byte, _ int) ([]byte, error) {
	doc, err := a.Apply(newer)
	if errors.Is(err, document.ErrNotNumber) {
		return nil, conflict(err) // it was a number when the app saw it
	}
	return doc, err
}

func (a addition) undoes([]byte, document.Changes) bool { return false }

type jsonPatch struct{ document.Patch }

func (p jsonPatch) apply(doc []byte, limit int) ([]byte, error) { return p.Apply(doc, limit) }

func (p jsonPatch) again(_, newer []byte, limit int) ([]byte, error) {
	return fitting(p, newer, limit)
}

func (p jsonPatch) undoes(shown []byte, theirs document.Changes) bool {
	return undoes(p, shown, theirs)
}

type patchAt struct {
	at    document.Pointer
	patch []byte
}

func (p patchAt) apply(doc []byte, _ int) ([]byte, error) {
	value, ok := document.At(doc, p.at)
	if !ok {
		return nil, document.ErrNoPath
	}
	if document.IsObject(p.patch) {
		return document.Set(doc, p.at, document.NestedPatch(p.patch).ApplyTo(value))
	}
	return document.Set(doc, p.at, p.patch) // it takes the place (RFC 7396 §2)
}

func (p patchAt) again(_, newer []byte, limit int) ([]byte, error) { return fitting(p, newer, limit) }

func (p patchAt) undoes(shown []byte, theirs document.Changes) bool { return undoes(p, shown, theirs) }

type setAt struct {
	at    document.Pointer
	value []byte
}

func (s setAt) apply(doc []byte, _ int) ([]byte, error)           { return document.Set(doc, s.at, s.value) }
func (s setAt) again(_, newer []byte, limit int) ([]byte, error)  { return fitting(s, newer, limit) }
func (s setAt) undoes(shown []byte, theirs document.Changes) bool { return undoes(s, shown, theirs) }

type removeAt struct{ at document.Pointer }

func (r removeAt) apply(doc []byte, _ int) ([]byte, error) {
	doc, ok := document.Remove(doc, r.at)
	if !ok && len(r.at) > 0 {
		return nil, document.ErrNoPath
	}
	return doc, nil
}

func (r removeAt) again(_, newer []byte, _ int) ([]byte, error) {
	if doc, ok := document.Remove(newer, r.at); ok {
		return doc, nil
	}
	return newer, nil // others have removed it, too
}

func (r removeAt) undoes(shown []byte, theirs document.Changes) bool { return undoes(r, shown, theirs) }

// fitting applies a step to newer data; a conflict if it does not fit any more.
func fitting(s Step, newer []byte, limit int) ([]byte, error) {
	doc, err := s.apply(newer, limit)
	if errors.Is(err, document.ErrNoPath) || errors.Is(err, document.ErrTest) {
		return nil, conflict(err)
	}
	return doc, err
}

func undoes(s Step, shown []byte, theirs document.Changes) bool {
	doc, err := s.apply(shown, 0)
	return err == nil && document.Diff(shown, doc).Overlaps(theirs)
}

func conflict(cause error) error { return fmt.Errorf("%w: %w", ErrConflict, cause) }
