package change

import (
	"bytes"
	"fmt"

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
)

// maxRework bounds what the store's writer does to make the changes of one
// commit again on newer data, in bytes of data times ops: all sessions wait
// for that writer. It takes some milliseconds.
const maxRework = 8 << 20

// MaxSteps is how many changes a request may stage: each is work for the
// store's writer.
const MaxSteps = 256

// Apply applies the ops to the data that they were made for. The result is
// shown itself if nothing changes.
func (c *Changes) Apply(shown []byte, maxSize int) ([]byte, error) {
	doc := shown
	for _, op := range c.Ops {
		var err error
		if doc, err = op.apply(doc, max(maxSize, len(shown))); err != nil {
			return nil, opError(err)
		}
	}
	return doc, fits(doc, shown, maxSize)
}

// Rebase applies the ops, made for shown, to newer data. A replacement
// becomes the difference that it made, so that what others changed survives.
func (c *Changes) Rebase(shown, newer []byte, maxSize int) ([]byte, error) {
	doc, limit := newer, max(maxSize, len(shown), len(newer))
	last := 0 // the last op that is made from what was shown
	for i, op := range c.Ops {
		if _, ok := op.(replace); ok {
			last = i
		}
	}
	for i, op := range c.Ops {
		var err error
		if doc, err = op.rebase(shown, doc, limit); err != nil {
			return nil, opError(err)
		}
		if i >= last {
			continue
		}
		if shown, err = op.apply(shown, limit); err != nil {
			return nil, opError(err)
		}
	}
	return doc, fits(doc, newer, maxSize)
}

// Merge unites what the ops make of shown with newer data, if both sides
// changed different places. Additions fit any number.
func (c *Changes) Merge(shown, newer []byte, maxSize int) ([]byte, error) {
	if _, err := c.Rebase(shown, newer, maxSize); err != nil {
		return nil, err // a JSON Patch whose test fails now
	}
	ours, adds, err := c.splitAdditions(shown, maxSize)
	if err != nil {
		return nil, err
	}
	doc, ok := document.Merge(shown, ours, newer)
	if !ok {
		return nil, fmt.Errorf("%w: both changed the same place", ErrConflict)
	}
	rest := Changes{Ops: adds}
	if doc, err = rest.Rebase(ours, doc, maxSize); err != nil {
		return nil, err
	}
	return doc, fits(doc, newer, maxSize)
}

// Meets reports whether the changes, additions aside, edit a place that others
// have edited between shown and newer, even if both made the same of it.
func (c *Changes) Meets(shown, newer []byte, maxSize int) bool {
	ours, _, err := c.splitAdditions(shown, maxSize)
	return err == nil && document.Diff(shown, ours).Meets(document.Diff(shown, newer))
}

// Overwrites reports whether these changes undo something that others wrote
// between shown and newer.
func (c *Changes) Overwrites(shown, newer []byte, maxSize int) bool {
	theirs := document.Diff(shown, newer)
	for _, op := range c.Ops {
		if op.clobbers(shown, theirs) {
			return true
		}
		next, err := op.apply(shown, maxSize)
		if err != nil {
			return false
		}
		shown = next
	}
	return false
}

func fits(doc, before []byte, maxSize int) error {
	if len(doc) > maxSize && !bytes.Equal(doc, before) {
		return fmt.Errorf("%w: %d bytes, and max_size is %d; raise it, and inline_limit with it unless the app reads the endpoint", ErrTooLarge, len(doc), maxSize)
	}
	return nil
}

// rework is how much the writer would have to do on data of that size.
func (c *Changes) rework(size int) int { return size * c.Rewrites() }

// BoundRework makes the changes, made for shown, cheap to make again: it is
// called before the writer is asked to. Ops that would take too long become
// their difference to shown and the additions. JSON Patches cannot: their
// conditions are lost, and such changes conflict with newer data.
func (c *Changes) BoundRework(shown []byte, maxSize int) error {
	if c.rework(len(shown)) > maxRework {
		if err := c.Squash(shown, maxSize); err != nil {
			return err
		}
	}
	if c.rework(len(shown)) > maxRework { // additions whose sums would be too large
		return tooMuchRework()
	}
	if len(c.Ops) == 0 {
		return nil
	}
	if r, ok := c.Ops[0].(replace); ok { // the writer need not compare it
		c.Ops = append([]Op{MergePatch(document.Diff(shown, r))}, c.Ops[1:]...)
	}
	return nil
}

// CheckRebase returns an error if the changes cannot be made on newer data,
// whatever it is.
func (c *Changes) CheckRebase() error {
	if c.baseOnly {
		return tooMuchRework()
	}
	return nil
}

func tooMuchRework() error {
	return fmt.Errorf("%w: %w; write fewer or shorter steps, or read the session again", ErrConflict, ErrTooMuchRework)
}
