package ticket

import (
	"net/http"
	"slices"
	"strings"
)

// Names is an immutable set of names that carry tickets: of cookies, and of
// headers.
type Names struct {
	names   []string // of cookies
	headers []string // in canonical form
}

// NewNames returns the set of the cookie names given.
func NewNames(names ...string) Names {
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	return Names{names: slices.Compact(sorted)}
}

// Has reports whether the set holds the cookie name. Case is ignored: it matters to
// browsers, but not to every app that reads cookies.
func (n Names) Has(name string) bool {
	for _, own := range n.names {
		if strings.EqualFold(own, name) {
			return true
		}
	}
	return false
}

// Read returns the values of the request's cookies of that name on such a
// connection, in order, each value once. The rest of the cookies is not
// looked at further. Nothing is decoded: a ticket needs no quotes or escapes.
func (c *Cookie) Read(h http.Header, secure bool) []string {
	var values []string
	name := c.NameOn(secure)
	for _, line := range h["Cookie"] {
		for len(line) > 0 {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			got, value, _ := strings.Cut(trim(pair), "=")
			if trim(got) != name {
				continue
			}
			if value = trim(value); !slices.Contains(values, value) && len(values) < maxValues {
				values = append(values, value)
			}
		}
	}
	return values
}

// maxValues bounds what a client can make us compare: no browser comes near.
const maxValues = 512

// Strip removes the cookies of those names from a request. Every byte of the
// others stays as it was, but for the blanks around what was removed.
func Strip(h http.Header, names Names) (removed int) {
	lines := h["Cookie"]
	for _, line := range lines {
		removed += count(line, names)
	}
	if removed == 0 {
		return 0
	}
	var kept []string
	for _, line := range lines {
		if line = without(line, names); line != "" {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
	} else {
		h["Cookie"] = kept
	}
	return removed
}

func count(line string, names Names) (n int) {
	for len(line) > 0 {
		var pair string
		pair, line, _ = strings.Cut(line, ";")
		if names.Has(pairName(pair)) {
			n++
		}
	}
	return n
}

func without(line string, names Names) string {
	if count(line, names) == 0 {
		return line
	}
	var b strings.Builder
	for pair := range strings.SplitSeq(line, ";") {
		if names.Has(pairName(pair)) {
			continue
		}
		if b.Len() == 0 {
			pair = strings.TrimLeft(pair, " \t")
		} else {
			b.WriteByte(';')
		}
		b.WriteString(pair)
	}
	return b.String()
}

// StripSet removes the Set-Cookie lines of those names from a response.
func StripSet(h http.Header, names Names) (removed int) {
	lines := h["Set-Cookie"]
	ours := func(line string) bool {
		pair, _, _ := strings.Cut(line, ";")
		return names.Has(pairName(pair))
	}
	if !slices.ContainsFunc(lines, ours) {
		return 0
	}
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		if !ours(line) {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		delete(h, "Set-Cookie")
	} else {
		h["Set-Cookie"] = kept
	}
	return len(lines) - len(kept)
}

// pairName returns the name of a "name=value" pair. A pair without '=' is a
// name for some readers and a value for others: here it counts as a name.
func pairName(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	return trim(name)
}

// trim removes what some reader of cookies takes for white space.
func trim(s string) string { return strings.Trim(s, " \t\r\n\v\f") }
