package document

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// maxExact is the largest integer up to which a double holds every integer.
const maxExact = 1 << 53

// Increments adds integers to members of a document. Additions commute. The
// zero value adds nothing. Immutable.
type Increments struct {
	increments []increment
}

// increment adds n to one member, or adds inside it.
type increment struct {
	name   []byte // with quotes
	n      int64
	inside []increment
	within bool
}

// ParseIncrements reads an object whose leaves are integers within ±2^53, as
// strictly as Parse.
func ParseIncrements(src []byte, maxSize int) (Increments, error) {
	compact, err := Parse(src, maxSize)
	if err != nil {
		return Increments{}, err
	}
	sums, err := parseIncrements(compact)
	return Increments{increments: sums}, err
}

func parseIncrements(object []byte) ([]increment, error) {
	var sums []increment
	for m := range members(object) {
		s := increment{name: m.name}
		var err error
		if isObject(m.value) {
			s.within = true
			if s.inside, err = parseIncrements(m.value); err == nil && len(s.inside) == 0 {
				continue // names nothing
			}
		} else {
			s.n, err = exactInt(m.value)
		}
		if err != nil {
			return nil, err
		}
		sums = append(sums, s)
	}
	return sums, nil
}

// exactInt reads an integer that a double holds exactly, as do its neighbours.
func exactInt(raw []byte) (int64, error) {
	digits := bytes.TrimPrefix(raw, []byte("-"))
	if len(digits) == 0 || len(bytes.Trim(digits, "0123456789")) > 0 {
		return 0, fmt.Errorf("%w: an addition must be an integer", ErrMalformed)
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n > maxExact || n < -maxExact {
		return 0, ErrRange
	}
	return n, nil
}

// Empty reports whether nothing is named.
func (a Increments) Empty() bool { return len(a.increments) == 0 }

// Apply returns the compact document with everything added, or ErrNotNumber
// or ErrRange and no document: all or nothing. What is absent counts as 0, so
// that adding 0 creates it. It returns doc itself if nothing changes.
func (a Increments) Apply(doc []byte) ([]byte, error) {
	edits, err := incrementEdits(a.increments, doc)
	if err != nil {
		return nil, err
	}
	return Edits{edits: edits}.Apply(doc), nil
}

// incrementEdits turns the additions into the edits that they amount to.
func incrementEdits(sums []increment, object []byte) ([]edit, error) {
	edits := make([]edit, 0, len(sums))
	was := newReader(object, sums)
	for i := range sums {
		s := &sums[i]
		e, err := s.edit(was.find(s.name))
		if err != nil {
			return nil, err
		}
		edits = append(edits, e)
	}
	return edits, nil
}

// reader finds the members of an object that sums name.
type reader struct {
	object []byte
	all    map[string][]byte // when there are many sums
}

func newReader(object []byte, sums []increment) reader {
	r := reader{object: object}
	if len(sums) > fewEdits {
		r.all = index(object)
	}
	return r
}

func (r *reader) find(name []byte) []byte {
	if r.all != nil {
		return r.all[string(name)]
	}
	return get(r.object, name)
}

func (s *increment) edit(old []byte) (edit, error) {
	e := edit{name: s.name, within: s.within}
	if s.within {
		switch {
		case old == nil:
			old = emptyObject
		case !isObject(old):
			return edit{}, ErrNotNumber
		}
		var err error
		e.inside, err = incrementEdits(s.inside, old)
		return e, err
	}
	if old == nil {
		e.set = strconv.AppendInt(nil, s.n, 10)
		return e, nil
	}
	n, err := exactInt(old)
	if err != nil {
		return edit{}, ErrNotNumber
	}
	if s.n == 0 {
		e.set = old // keeps its text
		return e, nil
	}
	if n += s.n; n > maxExact || n < -maxExact {
		return edit{}, ErrRange
	}
	e.set = strconv.AppendInt(nil, n, 10)
	return e, nil
}

// Without returns the additions but for those to what the changes set, remove,
// or stand inside of.
func (a Increments) Without(c Edits) Increments {
	return Increments{increments: without(a.increments, c.edits)}
}

func without(sums []increment, edits []edit) []increment {
	finder := newFinder(edits)
	left := make([]increment, 0, len(sums))
	for _, s := range sums {
		if i := finder.find(s.name); i >= 0 {
			e := &edits[i]
			if !s.within || !e.within {
				continue
			}
			if s.inside = without(s.inside, e.inside); len(s.inside) == 0 {
				continue
			}
		}
		left = append(left, s)
	}
	return left
}

// Of returns the part of a compact document that the additions name.
func (a Increments) Of(doc []byte) []byte {
	return Edits{edits: incrementsOf(a.increments, doc)}.Apply(emptyObject)
}

func incrementsOf(sums []increment, object []byte) []edit {
	edits := make([]edit, 0, len(sums))
	was := newReader(object, sums)
	for i := range sums {
		value := was.find(sums[i].name)
		e := edit{name: sums[i].name, set: value}
		if sums[i].within {
			e = edit{name: sums[i].name, within: true, inside: incrementsOf(sums[i].inside, value)}
		}
		edits = append(edits, e)
	}
	return edits
}

// Plus returns both additions in one. It reports false if one adds to a number
// where the other adds inside an object, or to a sum beyond ±2^53.
func (a Increments) Plus(b Increments) (Increments, bool) {
	sums, ok := plus(a.increments, b.increments)
	return Increments{increments: sums}, ok
}

func plus(a, b []increment) ([]increment, bool) {
	all := slices.Clone(a)
	places := make(map[string]int, len(a))
	for i := range a {
		places[string(a[i].name)] = i
	}
	for _, s := range b {
		i, ok := places[string(s.name)]
		if !ok {
			all = append(all, s)
			continue
		}
		o := &all[i]
		if o.within != s.within {
			return nil, false
		}
		if o.inside, ok = plus(o.inside, s.inside); !ok {
			return nil, false
		}
		if o.n += s.n; o.n > maxExact || o.n < -maxExact {
			return nil, false
		}
	}
	return all, true
}
