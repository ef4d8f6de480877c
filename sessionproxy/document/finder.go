package document

import "bytes"

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
