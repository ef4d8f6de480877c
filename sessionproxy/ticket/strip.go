package ticket

import (
	"net/http"
	"slices"
	"strings"
)

// Names is an immutable set of names under which one manager's tickets travel:
// of cookies, and of headers. It is small, and is searched from end to end.
type Names struct {
	names   []string // of cookies
	headers []string // in canonical form
}

// newNames returns the set of the cookie names given.
func newNames(names ...string) Names {
	var n Names
	for _, name := range names {
		if !slices.Contains(n.names, name) {
			n.names = append(n.names, name)
		}
	}
	return n
}

// Cookies returns the names of cookies.
func (n Names) Cookies() []string { return slices.Clone(n.names) }

// With returns the set with all names of another one.
func (n Names) With(o Names) Names {
	return newNames(append(n.Cookies(), o.names...)...).WithHeaders(append(slices.Clone(n.headers), o.headers...)...)
}

// Has reports whether the set holds the cookie name. Case is ignored: it matters to
// browsers, but not to every app that reads cookies.
func (n Names) Has(name string) bool { return n.own(name) != "" }

// own returns the cookie name of the set that a name spells, or "".
func (n Names) own(name string) string {
	for _, own := range n.names {
		if strings.EqualFold(own, name) {
			return own
		}
	}
	return ""
}

// maxValues bounds what a client can make us compare: no browser comes near.
const maxValues = 512

// take is Strip, and returns the values of the cookies whose name is
// exactly that one, in order, each value once. They are ours whether or not
// the name is among names. Nothing is decoded: a ticket needs no quotes or
// escapes.
func take(h http.Header, name string, names Names) (values []string) {
	strip(h, func(pair string) bool {
		got, value, _ := strings.Cut(pair, "=")
		if got = trim(got); got != name {
			return names.Has(got)
		}
		values = addOnce(values, trim(value))
		return true
	})
	return values
}

func addOnce(values []string, value string) []string {
	if len(values) == maxValues || slices.Contains(values, value) {
		return values
	}
	return append(values, value)
}

// Strip removes the cookies of those names from a request. Every byte of the
// others stays as it was, but for the blanks around what was removed.
func Strip(h http.Header, names Names) (removed int) {
	return strip(h, func(pair string) bool { return names.Has(pairName(pair)) })
}

// strip asks about each pair once.
func strip(h http.Header, ours func(pair string) bool) (removed int) {
	var kept []string
	for _, line := range h["Cookie"] {
		rest, n := without(line, ours)
		removed += n
		if rest != "" {
			kept = append(kept, rest)
		}
	}
	switch {
	case removed == 0:
	case len(kept) == 0:
		delete(h, "Cookie")
	default:
		h["Cookie"] = kept
	}
	return removed
}

// without returns the line without our pairs. What is left is one piece of the
// line as a rule, and is not copied then.
func without(line string, ours func(pair string) bool) (rest string, removed int) {
	var few [4]string
	pieces := few[:0]
	keep := func(piece string) {
		if len(pieces) == 0 {
			piece = strings.TrimLeft(piece, " \t")
		}
		if piece != "" {
			pieces = append(pieces, piece)
		}
	}
	start := 0 // of the piece before the next pair of ours
	for at := 0; at < len(line); {
		end := at + strings.IndexByte(line[at:], ';')
		if end < at {
			end = len(line)
		}
		if ours(line[at:end]) {
			removed++
			keep(line[start:max(start, at-1)])
			start = min(end+1, len(line))
		}
		at = end + 1
	}
	if removed == 0 {
		return line, 0
	}
	keep(line[start:])
	return strings.Join(pieces, ";"), removed
}

// StripSet removes from a response the Set-Cookie lines of those names, and
// those that hold a ticket of the ring under any name: an app could plant one
// of another manager. It returns how many lines it removed, and the names of
// the set among them.
func StripSet(h http.Header, names Names, r *Ring) (removed int, own []string) {
	var kept []string
	for _, line := range h["Set-Cookie"] {
		pair, _, _ := strings.Cut(line, ";")
		name := names.own(pairName(pair))
		switch {
		case name != "":
			own = append(own, name)
		case len(line) < Len || !holdsTicket(line, r):
			kept = append(kept, line)
			continue
		}
		removed++
	}
	if removed == 0 {
		return 0, nil
	}
	if len(kept) == 0 {
		delete(h, "Set-Cookie")
	} else {
		h["Set-Cookie"] = kept
	}
	return removed, own
}

// pairName returns the name of a "name=value" pair. A pair without '=' is a
// name for some readers and a value for others: here it counts as a name.
func pairName(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	return trim(name)
}

// trim removes what some reader of cookies takes for white space.
func trim(s string) string {
	for s != "" && isBlank(s[0]) {
		s = s[1:]
	}
	for s != "" && isBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// isBlank takes a space, and \t \n \v \f \r.
func isBlank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
