package document

import "bytes"

// Edits is a set of edits of members: the common form of a merge patch and
// of the difference between two documents. The zero value changes nothing.
// Immutable.
type Edits struct {
	edits []edit
}

// edit concerns one member: it is set to a value, changed inside, or removed.
type edit struct {
	name   []byte // with quotes
	set    []byte // the new value, or nil
	inside []edit // when within is true
	within bool
}

// Empty reports whether there is no edit.
func (c Edits) Empty() bool { return len(c.edits) == 0 }

// Names returns the names of the top-level members that are edited.
func (c Edits) Names() []string {
	names := make([]string, len(c.edits))
	for i := range c.edits {
		names[i] = unquote(c.edits[i].name)
	}
	return names
}

// Apply returns the compact document with the changes made. It splices the
// bytes of the members that are named, and returns doc itself if nothing
// changes; doc is never modified.
func (c Edits) Apply(doc []byte) []byte {
	if changed := applyEdits(c.edits, doc); changed != nil {
		return changed
	}
	return doc
}

var emptyObject = []byte("{}")

// applyEdits returns the changed object, or nil if nothing changes.
func applyEdits(edits []edit, object []byte) []byte {
	if len(edits) == 0 {
		return nil
	}
	finder := newFinder(edits)
	out := make([]byte, 0, len(object)+editsSize(edits))
	out = append(out, '{')
	changed := false
	for m := range members(object) {
		value := m.value
		if i := finder.find(m.name); i >= 0 {
			finder.seen(i)
			if value = edits[i].apply(m.value); value == nil {
				changed = true
				continue
			}
			changed = changed || !bytes.Equal(value, m.value)
		}
		out = appendMember(out, m.name, value)
	}
	for i := range edits {
		if finder.wasSeen(i) {
			continue
		}
		if value := edits[i].apply(nil); value != nil {
			out = appendMember(out, edits[i].name, value)
			changed = true
		}
	}
	if !changed {
		return nil
	}
	return append(out, '}')
}

// apply returns the member's new value, nil if it is to go. old is nil if
// there is none. What is changed inside becomes an object (RFC 7396 §2).
func (e *edit) apply(old []byte) []byte {
	if !e.within {
		return e.set
	}
	if !isObject(old) {
		if changed := applyEdits(e.inside, emptyObject); changed != nil {
			return changed
		}
		return emptyObject
	}
	if changed := applyEdits(e.inside, old); changed != nil {
		return changed
	}
	return old
}

func appendMember(out, name, value []byte) []byte {
	if len(out) > 1 {
		out = append(out, ',')
	}
	out = append(out, name...)
	out = append(out, ':')
	return append(out, value...)
}

func editsSize(edits []edit) (n int) {
	for i := range edits {
		n += len(edits[i].name) + len(edits[i].set) + len(",:{}") + editsSize(edits[i].inside)
	}
	return n
}

// Overlaps reports whether the two sets of changes edit one place
// differently: what both set or remove, or what one replaces and the other
// changes inside. The same edit on both sides does not count.
func (c Edits) Overlaps(o Edits) bool { return overlap(c.edits, o.edits, false) }

// Meets is Overlaps where the same edit on both sides counts, too: two that
// have computed the same number from what they read have lost one update.
func (c Edits) Meets(o Edits) bool { return overlap(c.edits, o.edits, true) }

func overlap(a, b []edit, same bool) bool {
	finder := newFinder(b)
	for i := range a {
		j := finder.find(a[i].name)
		if j < 0 {
			continue
		}
		if a[i].overlaps(&b[j], same) {
			return true
		}
	}
	return false
}

func (e *edit) overlaps(o *edit, same bool) bool {
	switch {
	case e.within && o.within:
		return overlap(e.inside, o.inside, same)
	case e.within && isObject(o.set):
		return overlap(e.inside, diffEdits(emptyObject, o.set), same) // the other made the object that this one fills
	case o.within && isObject(e.set):
		return overlap(diffEdits(emptyObject, e.set), o.inside, same)
	case e.within != o.within:
		return true
	}
	return same || (e.set == nil) != (o.set == nil) || !bytes.Equal(e.set, o.set)
}

// finder finds edits by name, and remembers which were found. A patch names a
// few members, which are compared one by one; a large one goes through a map.
type finder struct {
	edits  []edit
	byName map[string]int
	few    uint64 // bits of those that were seen
	many   []bool
}

const fewEdits = 16

func newFinder(edits []edit) finder {
	f := finder{edits: edits}
	if len(edits) > fewEdits {
		f.many = make([]bool, len(edits))
		f.byName = make(map[string]int, len(edits))
		for i := range edits {
			f.byName[string(edits[i].name)] = i
		}
	}
	return f
}

// find returns the edit's index, or -1.
func (f *finder) find(name []byte) int {
	if f.byName != nil {
		if i, ok := f.byName[string(name)]; ok {
			return i
		}
		return -1
	}
	for i := range f.edits {
		if bytes.Equal(f.edits[i].name, name) {
			return i
		}
	}
	return -1
}

func (f *finder) seen(i int) {
	if f.many != nil {
		f.many[i] = true
	} else {
		f.few |= 1 << i
	}
}

func (f *finder) wasSeen(i int) bool {
	if f.many != nil {
		return f.many[i]
	}
	return f.few&(1<<i) != 0
}
