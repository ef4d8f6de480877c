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

// ParseMergePatch reads a JSON Merge Patch (RFC 7396) whose top is an object, as
// strictly as Parse.
func ParseMergePatch(src []byte, maxSize int) (Edits, error) {
	compact, err := Parse(src, maxSize)
	if err != nil {
		return Edits{}, err
	}
	return Edits{edits: mergePatchEdits(compact)}, nil
}

// NestedMergePatch is the merge patch of a compact object that stands below the
// top of a document, where no name is reserved.
func NestedMergePatch(object []byte) Edits { return Edits{edits: mergePatchEdits(object)} }

// IsObject reports whether a compact value is an object.
func IsObject(value []byte) bool { return isObject(value) }

func mergePatchEdits(patch []byte) []edit {
	var edits []edit
	for m := range members(patch) {
		e := edit{name: m.name}
		switch {
		case isObject(m.value):
			e.within, e.inside = true, mergePatchEdits(m.value)
		case string(m.value) != "null":
			e.set = m.value
		}
		edits = append(edits, e)
	}
	return edits
}

// Diff returns the changes that lead from one compact document to another:
// members set, removed, or changed inside. An object that was not there is one
// that is changed inside, so that another change that creates it can fill it, too.
// Unlike a merge patch a difference can set a member to null. The order of
// members is not part of a document.
func Diff(from, to []byte) Edits {
	return Edits{edits: diffEdits(from, to)}
}

func diffEdits(from, to []byte) []edit {
	if bytes.Equal(from, to) {
		return nil
	}
	was := index(from)
	var edits []edit
	for m := range members(to) {
		old, there := was[string(m.name)]
		delete(was, string(m.name))
		switch {
		case there && bytes.Equal(old, m.value):
		case there && isObject(old) && isObject(m.value):
			if inside := diffEdits(old, m.value); len(inside) > 0 {
				edits = append(edits, edit{name: m.name, within: true, inside: inside})
			}
		case !there && isObject(m.value):
			edits = append(edits, edit{name: m.name, within: true, inside: diffEdits(emptyObject, m.value)})
		default:
			edits = append(edits, edit{name: m.name, set: m.value})
		}
	}
	for m := range members(from) {
		if _, left := was[string(m.name)]; left {
			edits = append(edits, edit{name: m.name})
		}
	}
	return edits
}

func index(object []byte) map[string][]byte {
	all := make(map[string][]byte)
	for m := range members(object) {
		all[string(m.name)] = m.value
	}
	return all
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

// ApplyTo is Apply for a value that need not be an object: what a merge patch
// changes inside becomes one (RFC 7396 §2).
func (c Edits) ApplyTo(value []byte) []byte {
	if !isObject(value) {
		value = emptyObject
	}
	return c.Apply(value)
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
