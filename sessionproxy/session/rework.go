package session

import (
	"fmt"

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
)

// maxRework bounds what the store's writer does to make the changes of one
// commit again on newer data, in bytes of data times steps: all sessions wait
// for that writer. It takes some milliseconds.
const maxRework = 8 << 20

// rework is how much the writer would have to do on data of that size.
func (c *Changes) rework(size int) int { return size * c.rewrites() }

// boundRework makes the changes, made for shown, cheap to make again: it is
// called before the writer is asked to. Steps that would take too long become
// their difference to shown and the additions. JSON Patches cannot: their
// conditions are lost, and such changes conflict with newer data.
func (c *Changes) boundRework(shown []byte, maxSize int) error {
	if c.rework(len(shown)) > maxRework {
		if err := c.fold(shown, maxSize); err != nil {
			return err
		}
	}
	if c.rework(len(shown)) > maxRework { // additions whose sums would be too large
		return tooMuchRework()
	}
	if len(c.Steps) == 0 {
		return nil
	}
	if r, ok := c.Steps[0].(replace); ok { // the writer need not compare it
		c.Steps = append([]Step{Patch(document.Diff(shown, r))}, c.Steps[1:]...)
	}
	return nil
}

func tooMuchRework() error {
	return fmt.Errorf("%w: %w; write fewer or shorter steps, or read the session again", ErrConflict, ErrTooMuchRework)
}
