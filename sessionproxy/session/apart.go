package session

import (
	"slices"

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
)

// apart takes the additions out from among the steps, wherever they stand: it
// returns what the other steps make of shown, and the additions that are to
// follow. Together they make what all steps make in their order.
//
// An addition commutes with a step that leaves its number alone. One whose
// number a later step sets or removes has done its work by then: that step's
// result stands for both.
func (c *Changes) apart(shown []byte, maxSize int) (ours []byte, adds []Step, err error) {
	limit := max(maxSize, len(shown))
	ours = shown
	for view, steps := shown, c.Steps; len(steps) > 0; {
		if a, ok := steps[0].(addition); ok {
			if view, err = a.apply(view, limit); err != nil {
				return nil, nil, stepError(err)
			}
			adds, steps = plus(adds, a), steps[1:]
			continue
		}
		before := view
		for len(steps) > 0 {
			if _, ok := steps[0].(addition); ok {
				break
			}
			if view, err = steps[0].apply(view, limit); err != nil {
				return nil, nil, stepError(err)
			}
			steps = steps[1:]
		}
		if len(adds) == 0 {
			ours = view
			continue
		}
		made := document.Diff(before, view)
		ours, adds = made.Apply(ours), without(adds, made)
	}
	return ours, adds, nil
}

// fold makes as few steps as can be of those for shown. A replacement says the
// same as any number of steps, but for the conditions of JSON Patches.
func (c *Changes) fold(shown []byte, maxSize int) error {
	ours, adds, err := c.apart(shown, maxSize)
	if err != nil {
		return err
	}
	c.bound = c.bound || slices.ContainsFunc(c.Steps, func(s Step) bool { _, ok := s.(jsonPatch); return ok })
	c.Steps = append([]Step{Replace(ours)}, adds...)
	return nil
}

// plus adds an addition to others.
func plus(adds []Step, a addition) []Step {
	if last := len(adds) - 1; last >= 0 {
		if sum, ok := adds[last].(addition).Plus(a.Additions); ok {
			adds[last] = Add(sum)
			return adds
		}
	}
	return append(adds, a)
}

// without drops the additions to what the changes have set or removed.
func without(adds []Step, made document.Changes) []Step {
	var left []Step
	for _, step := range adds {
		if a := step.(addition).Without(made); !a.Empty() {
			left = append(left, Add(a))
		}
	}
	return left
}
