package session

import (
	"errors"
	"fmt"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
)

// Changes is everything that one request wants written. The zero value
// changes nothing.
type Changes struct {
	// Replace is the new data in compact form, or nil. It comes first,
	// then the patches, then the additions, each in order.
	Replace   []byte
	Patches   []document.Changes
	Additions []document.Additions

	// Destroy ends the session; every other change is then ignored.
	Destroy bool
	// Regenerate issues a new ticket and refuses the old one at once.
	Regenerate bool
	// Touch counts the request as activity.
	Touch bool
	// Rollback drops every change, Destroy included.
	Rollback bool

	// Principal signs somebody in, or forgets who it was ("") when not nil.
	// Either way the ticket is replaced and the absolute timeout restarts.
	Principal *string
	// Timeout changes the timeouts of this session alone, when not nil.
	Timeout *Timeout
	// IfVersion makes the commit conditional on the stored version, when
	// not nil; "" is the version of a session that does not exist.
	IfVersion *string
}

// Timeout is what an app asks for one session; zero members stay as they are.
// The manager's maximum caps both.
type Timeout struct {
	Idle, Absolute time.Duration
}

// touchesData reports whether the changes concern the data, and not only who
// is signed in, the ticket and the clocks.
func (c *Changes) touchesData() bool {
	return c.Replace != nil || len(c.Patches) > 0 || len(c.Additions) > 0
}

// onlyAdds reports whether the changes concern the data by additions alone,
// which can be applied in any order.
func (c *Changes) onlyAdds() bool {
	return c.Replace == nil && len(c.Patches) == 0
}

// none reports whether nothing at all is asked for.
func (c *Changes) none() bool { return !c.writes() && !c.Touch && !c.Rollback }

// writes reports whether a read-only request must refuse the changes.
func (c *Changes) writes() bool {
	return c.touchesData() || c.Destroy || c.Regenerate || c.Principal != nil || c.Timeout != nil || c.IfVersion != nil
}

// applyData computes the new data. base is what the app was shown; current
// is what is stored now, the same or newer. With newer data a replacement is
// applied as the difference it made to base, so that what others changed
// meanwhile survives. The result is current itself if nothing changes.
func (c *Changes) applyData(base, current []byte, newer bool, maxSize int) ([]byte, error) {
	data := current
	if c.Replace != nil {
		if newer {
			data = document.Diff(base, c.Replace).Apply(data)
		} else {
			data = c.Replace
		}
	}
	for _, p := range c.Patches {
		data = p.Apply(data)
	}
	for _, a := range c.Additions {
		var err error
		if data, err = a.Apply(data); err != nil {
			if newer && errors.Is(err, document.ErrNotNumber) {
				return nil, fmt.Errorf("%w: %w", ErrConflict, err) // it was a number when the app saw it
			}
			return nil, fmt.Errorf("%w: %w", ErrBadWrite, err)
		}
	}
	if len(data) > maxSize && !sameBytes(data, current) {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are allowed (max_size)", ErrTooLarge, len(data), maxSize)
	}
	return data, nil
}

// overwrites reports whether these changes undo something that others wrote
// between base and current.
func (c *Changes) overwrites(base, current []byte) bool {
	theirs := document.Diff(base, current)
	if c.Replace != nil && document.Diff(base, c.Replace).Overlaps(theirs) {
		return true
	}
	for _, p := range c.Patches {
		if p.Overlaps(theirs) {
			return true
		}
	}
	return false
}
