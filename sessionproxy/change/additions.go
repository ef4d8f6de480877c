package change

import (
	"slices"

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
)

// splitAdditions takes the additions out from among the ops, wherever they stand: it
// returns what the other ops make of shown, and the additions that are to
// follow. Together they make what all ops make in their order.
//
// An addition commutes with an op that leaves its number alone. One whose
// number a later op sets or removes has done its work by then: that op's
// result stands for both.
func (c *Changes) splitAdditions(shown []byte, maxSize int) (ours []byte, adds []Op, err error) {
	limit := max(maxSize, len(shown))
	ours = shown
	for view, ops := shown, c.Ops; len(ops) > 0; {
		if a, ok := ops[0].(increment); ok {
			if view, err = a.apply(view, limit); err != nil {
				return nil, nil, opError(err)
			}
			adds, ops = addTo(adds, a), ops[1:]
			continue
		}
		before := view
		for len(ops) > 0 {
			if _, ok := ops[0].(increment); ok {
				break
			}
			if view, err = ops[0].apply(view, limit); err != nil {
				return nil, nil, opError(err)
			}
			ops = ops[1:]
		}
		if len(adds) == 0 {
			ours = view
			continue
		}
		made := document.Diff(before, view)
		ours, adds = made.Apply(ours), dropOverwritten(adds, made)
	}
	return ours, adds, nil
}

// Squash makes as few ops as can be of those for shown. A replacement says the
// same as any number of ops, but for the conditions of JSON Patches.
func (c *Changes) Squash(shown []byte, maxSize int) error {
	ours, adds, err := c.splitAdditions(shown, maxSize)
	if err != nil {
		return err
	}
	c.baseOnly = c.baseOnly || slices.ContainsFunc(c.Ops, func(s Op) bool { _, ok := s.(jsonPatch); return ok })
	c.Ops = append([]Op{Replace(ours)}, adds...)
	return nil
}

// addTo adds an addition to others.
func addTo(adds []Op, a increment) []Op {
	if last := len(adds) - 1; last >= 0 {
		if sum, ok := adds[last].(increment).Plus(a.Increments); ok {
			adds[last] = Add(sum)
			return adds
		}
	}
	return append(adds, a)
}

// dropOverwritten drops the additions to what the changes have set or removed.
func dropOverwritten(adds []Op, made document.Edits) []Op {
	var left []Op
	for _, op := range adds {
		if a := op.(increment).Without(made); !a.Empty() {
			left = append(left, Add(a))
		}
	}
	return left
}

// CompactLast makes one addition of the last two ops, if they are additions: an
// app may add as often as it likes.
func (c *Changes) CompactLast() {
	n := len(c.Ops)
	if c.adds() < 2 {
		return
	}
	sum, ok := c.Ops[n-2].(increment).Plus(c.Ops[n-1].(increment).Increments)
	if ok {
		c.Ops = append(c.Ops[:n-2:n-2], Add(sum))
	}
}

// CompactAdditions makes one addition of each run of them: an app may send many
// headers.
func (c *Changes) CompactAdditions() {
	var ops, run []Op
	for _, op := range c.Ops {
		if a, ok := op.(increment); ok {
			run = addTo(run, a)
			continue
		}
		ops, run = append(append(ops, run...), op), nil
	}
	c.Ops = append(ops, run...)
}
