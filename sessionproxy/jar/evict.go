package jar

import "slices"

// The bounds of what a jar keeps beside names and values: paths and domains of
// its cookies, and the notes. With its past a jar is never encoded in more
// than 300 KiB.
const (
	maxRest  = 32 << 10
	maxNotes = 16 << 10
)

// evict takes out the oldest cookies until the jar is within its bounds, those
// that this response has set last. Names and values count, and apart from them
// what else a cookie is kept with.
func (m *merger) evict() {
	size, rest := 0, 0
	for i := range m.next.cookies {
		c := &m.next.cookies[i]
		size, rest = size+c.size(), rest+len(c.path)+len(c.domain)
	}
	limit := DefaultMaxSize
	if m.wishes.rules != nil {
		limit = m.wishes.rules.maxSize
	}
	isOver := func() bool { return len(m.next.cookies) > maxCookies || size > limit || rest > maxRest }
	for isOver() {
		i := max(0, slices.IndexFunc(m.next.cookies, func(c cookie) bool {
			return indexOf(m.wishes.cookies, c.name, c.path) < 0
		}))
		c := &m.next.cookies[i]
		size, rest = size-c.size(), rest-len(c.path)-len(c.domain)
		m.next.cookies = slices.Delete(m.next.cookies, i, i+1)
		m.merged.Counts[Evicted]++
	}
	m.evictNotes()
}

// evictNotes does the same to the notes.
func (m *merger) evictNotes() {
	size := 0
	for i, n := range slices.Backward(m.next.notes) {
		size += len(n.name) + len(n.path) + len(n.domain)
		if len(m.next.notes)-i > maxCookies || size > maxNotes {
			m.merged.Counts[Evicted] += i + 1
			m.next.notes = m.next.notes[i+1:]
			return
		}
	}
}
