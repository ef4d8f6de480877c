package document

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

// ApplyTo is Apply for a value that need not be an object: what a merge patch
// changes inside becomes one (RFC 7396 §2).
func (c Edits) ApplyTo(value []byte) []byte {
	if !isObject(value) {
		value = emptyObject
	}
	return c.Apply(value)
}
