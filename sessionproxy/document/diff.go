package document

import "bytes"

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

// Merge unites two documents that both began as base: what each side changed
// is in the result. It reports false if both sides changed one place
// differently: the same leaf, an array, or one side what the other removed.
// The same change on both sides is no conflict. All three are compact.
func Merge(base, ours, theirs []byte) (merged []byte, ok bool) {
	mine := Diff(base, ours)
	if mine.Overlaps(Diff(base, theirs)) {
		return nil, false
	}
	return mine.Apply(theirs), true
}
