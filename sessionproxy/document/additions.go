package document

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// maxExact is the largest integer up to which a double holds every integer.
const maxExact = 1 << 53

// Additions adds integers to members of a document. Additions commute. The
// zero value adds nothing. Immutable.
type Additions struct {
	sums []sum
}

// sum adds n to one member, or adds inside it.
type sum struct {
	name   []byte // with quotes
	n      int64
	inside []sum
	within bool
}

// ParseAdditions reads an object whose leaves are integers within ±2^53, as
// strictly as Parse.
func ParseAdditions(src []byte, maxSize int) (Additions, error) {
	compact, err := Parse(src, maxSize)
	if err != nil {
		return Additions{}, err
	}
	sums, err := parseSums(compact)
	return Additions{sums: sums}, err
}

func parseSums(object []byte) ([]sum, error) {
	var sums []sum
	for m := range members(object) {
		s := sum{name: m.name}
		var err error
		if isObject(m.value) {
			s.within = true
			if s.inside, err = parseSums(m.value); err == nil && len(s.inside) == 0 {
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
func (a Additions) Empty() bool { return len(a.sums) == 0 }

// Apply returns the compact document with everything added, or ErrNotNumber
// or ErrRange and no document: all or nothing. What is absent counts as 0, so
// that adding 0 creates it. It returns doc itself if nothing changes.
func (a Additions) Apply(doc []byte) ([]byte, error) {
	edits, err := sumEdits(a.sums, doc)
	if err != nil {
		return nil, err
	}
	return Changes{edits: edits}.Apply(doc), nil
}

// sumEdits turns the additions into the edits that they amount to.
func sumEdits(sums []sum, object []byte) ([]edit, error) {
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

func newReader(object []byte, sums []sum) reader {
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

func (s *sum) edit(old []byte) (edit, error) {
	e := edit{name: s.name, within: s.within}
	if s.within {
		switch {
		case old == nil:
			old = emptyObject
		case !isObject(old):
			return edit{}, ErrNotNumber
		}
		var err error
		e.inside, err = sumEdits(s.inside, old)
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
func (a Additions) Without(c Changes) Additions {
	return Additions{sums: without(a.sums, c.edits)}
}

func without(sums []sum, edits []edit) []sum {
	finder := newFinder(edits)
	left := make([]sum, 0, len(sums))
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
func (a Additions) Of(doc []byte) []byte {
	return Changes{edits: sumsOf(a.sums, doc)}.Apply(emptyObject)
}

func sumsOf(sums []sum, object []byte) []edit {
	edits := make([]edit, 0, len(sums))
	was := newReader(object, sums)
	for i := range sums {
		value := was.find(sums[i].name)
		e := edit{name: sums[i].name, set: value}
		if sums[i].within {
			e = edit{name: sums[i].name, within: true, inside: sumsOf(sums[i].inside, value)}
		}
		edits = append(edits, e)
	}
	return edits
}

// Plus returns both additions in one. It reports false if one adds to a number
// where the other adds inside an object, or to a sum beyond ±2^53.
func (a Additions) Plus(b Additions) (Additions, bool) {
	sums, ok := plus(a.sums, b.sums)
	return Additions{sums: sums}, ok
}

func plus(a, b []sum) ([]sum, bool) {
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
