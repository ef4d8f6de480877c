package session

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/store"
)

// Changes is everything that one request wants written. The zero value
// changes nothing.
type Changes struct {
	// Steps change the data, in order.
	Steps []Step

	// Destroy ends the session; every other change is then ignored.
	Destroy bool
	// Regenerate issues a new ticket and refuses the old one at once.
	Regenerate bool
	// Touch counts the request as activity.
	Touch bool
	// Rollback drops every change, Destroy included.
	Rollback bool

	// Principal signs somebody in, or forgets who it was ("") when not nil.
	// Either way the ticket is replaced. Signing in restarts the absolute timeout.
	Principal *string
	// Timeout changes the timeouts of this session alone, when not nil.
	Timeout *Timeout
	// IfVersion makes the commit conditional on the stored version, when
	// not nil; "" is the version of a session that does not exist.
	IfVersion *string

	// bound says that the steps are good for the data that they were made for,
	// and for no newer: it stands for conditions that fold has dropped.
	bound bool

	// Carries says that the response can bring the browser a new ticket: one
	// that is due by Policy.RotateEvery is replaced then. It asks for nothing.
	Carries bool
}

// allow reports whether the stored version is the one that the changes
// demand, if they demand one. A rotation by timer is no other version.
func (c *Changes) allow(v store.Version) bool {
	if c.IfVersion == nil {
		return true
	}
	demanded, err := store.ParseVersion(*c.IfVersion)
	return err == nil && demanded.Same(v)
}

// Timeout is what an app asks for one session; zero members stay as they are.
// The manager's maximum caps both.
type Timeout struct {
	Idle, Absolute time.Duration
}

// then returns the changes followed by later ones. It may reuse the room of
// c's steps: c is not to be used afterwards.
func (c Changes) then(later Changes) Changes {
	all := later
	if all.Steps = c.Steps; len(later.Steps) > 0 {
		all.Steps = append(all.Steps, later.Steps...)
	}
	all.Destroy = c.Destroy || later.Destroy
	all.Regenerate = c.Regenerate || later.Regenerate
	all.Touch = c.Touch || later.Touch
	all.Rollback = c.Rollback || later.Rollback
	all.Carries = c.Carries || later.Carries
	all.bound = c.bound || later.bound
	if later.Principal == nil {
		all.Principal = c.Principal
	}
	if later.IfVersion == nil {
		all.IfVersion = c.IfVersion
	}
	if c.Timeout != nil {
		t := *c.Timeout
		if l := later.Timeout; l != nil {
			t = Timeout{Idle: or(l.Idle, t.Idle), Absolute: or(l.Absolute, t.Absolute)}
		}
		all.Timeout = &t
	}
	return all
}

func or(a, b time.Duration) time.Duration {
	if a != 0 {
		return a
	}
	return b
}

// onlyAdds reports whether the changes concern the data by additions alone,
// which can be applied in any order.
func (c *Changes) onlyAdds() bool { return c.adds() == len(c.Steps) }

// rewrites returns how often the data is written anew to make all steps.
func (c *Changes) rewrites() (n int) {
	for _, step := range c.Steps {
		if p, ok := step.(jsonPatch); ok {
			n += p.Len()
		} else {
			n++
		}
	}
	return n
}

// adds returns how many steps at the end are additions.
func (c *Changes) adds() (n int) {
	for _, step := range slices.Backward(c.Steps) {
		if _, ok := step.(addition); !ok {
			break
		}
		n++
	}
	return n
}

// foldAdds makes one addition of the last two steps, if they are additions: an
// app may add as often as it likes.
func (c *Changes) foldAdds() {
	n := len(c.Steps)
	if c.adds() < 2 {
		return
	}
	sum, ok := c.Steps[n-2].(addition).Plus(c.Steps[n-1].(addition).Additions)
	if ok {
		c.Steps = append(c.Steps[:n-2:n-2], Add(sum))
	}
}

// foldAllAdds makes one addition of each run of them: an app may send many
// headers.
func (c *Changes) foldAllAdds() {
	var steps, run []Step
	for _, step := range c.Steps {
		if a, ok := step.(addition); ok {
			run = plus(run, a)
			continue
		}
		steps, run = append(append(steps, run...), step), nil
	}
	c.Steps = append(steps, run...)
}

// replaces reports whether all of the data is set.
func (c *Changes) replaces() bool {
	return slices.ContainsFunc(c.Steps, func(s Step) bool { _, ok := s.(replace); return ok })
}

// None reports whether nothing at all is asked for.
func (c *Changes) None() bool { return !c.Writes() && !c.Touch && !c.Rollback }

// Writes reports whether something is to be stored: what a read-only request
// must refuse, and what waits for the lock.
func (c *Changes) Writes() bool {
	return len(c.Steps) > 0 || c.Destroy || c.Regenerate || c.Principal != nil || c.Timeout != nil || c.IfVersion != nil
}

// data applies the steps to the data that they were made for. The result is
// shown itself if nothing changes.
func (c *Changes) data(shown []byte, maxSize int) ([]byte, error) {
	doc := shown
	for _, step := range c.Steps {
		var err error
		if doc, err = step.apply(doc, max(maxSize, len(shown))); err != nil {
			return nil, stepError(err)
		}
	}
	return doc, fits(doc, shown, maxSize)
}

// reapplied applies the steps, made for shown, to newer data. A replacement
// becomes the difference that it made, so that what others changed survives.
func (c *Changes) reapplied(shown, newer []byte, maxSize int) ([]byte, error) {
	doc, limit := newer, max(maxSize, len(shown), len(newer))
	last := 0 // the last step that is made from what was shown
	for i, step := range c.Steps {
		if _, ok := step.(replace); ok {
			last = i
		}
	}
	for i, step := range c.Steps {
		var err error
		if doc, err = step.again(shown, doc, limit); err != nil {
			return nil, stepError(err)
		}
		if i >= last {
			continue
		}
		if shown, err = step.apply(shown, limit); err != nil {
			return nil, stepError(err)
		}
	}
	return doc, fits(doc, newer, maxSize)
}

// merged unites what the steps make of shown with newer data, if both sides
// changed different places. Additions fit any number.
func (c *Changes) merged(shown, newer []byte, maxSize int) ([]byte, error) {
	if _, err := c.reapplied(shown, newer, maxSize); err != nil {
		return nil, err // a JSON Patch whose test fails now
	}
	ours, adds, err := c.apart(shown, maxSize)
	if err != nil {
		return nil, err
	}
	doc, ok := document.Merge(shown, ours, newer)
	if !ok {
		return nil, fmt.Errorf("%w: both changed the same place", ErrConflict)
	}
	rest := Changes{Steps: adds}
	if doc, err = rest.reapplied(ours, doc, maxSize); err != nil {
		return nil, err
	}
	return doc, fits(doc, newer, maxSize)
}

// meets reports whether the changes, additions aside, edit a place that others
// have edited between shown and newer, even if both made the same of it.
func (c *Changes) meets(shown, newer []byte, maxSize int) bool {
	ours, _, err := c.apart(shown, maxSize)
	return err == nil && document.Diff(shown, ours).Meets(document.Diff(shown, newer))
}

// overwrites reports whether these changes undo something that others wrote
// between shown and newer.
func (c *Changes) overwrites(shown, newer []byte, maxSize int) bool {
	theirs := document.Diff(shown, newer)
	for _, step := range c.Steps {
		if step.undoes(shown, theirs) {
			return true
		}
		next, err := step.apply(shown, maxSize)
		if err != nil {
			return false
		}
		shown = next
	}
	return false
}

func fits(doc, before []byte, maxSize int) error {
	if len(doc) > maxSize && !sameBytes(doc, before) {
		return fmt.Errorf("%w: %d bytes, and max_size is %d; raise it, and inline_limit with it unless the app reads the endpoint", ErrTooLarge, len(doc), maxSize)
	}
	return nil
}

// stepError says in the session's terms why a step cannot be made.
func stepError(err error) error {
	switch {
	case errors.Is(err, ErrConflict):
		return err
	case errors.Is(err, document.ErrTest):
		return conflict(err)
	case errors.Is(err, document.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, document.ErrNoPath):
		return fmt.Errorf("%w: %w", ErrNoPath, err)
	}
	return fmt.Errorf("%w: %w", ErrBadWrite, err)
}
