package ticket

import (
	"net/http"
	"strings"
	"time"
)

// BearerHeader is the response header in which a bearer gets its ticket.
const BearerHeader = "Session-Ticket"

// Bearer carries a ticket as a bearer token in Authorization (RFC 6750 §2.1),
// and a new one back in the response header BearerHeader. Other tokens, and
// other schemes, are not its own and are left alone.
type Bearer struct{}

// Take returns the bearer tokens that have the length of a ticket, and the
// empty text if the scheme stands alone. The scheme's case does not matter
// (RFC 9110 §11.1).
func (Bearer) Take(h http.Header, _ bool, _ Names) []string {
	var values []string
	for _, line := range h["Authorization"] {
		for element := range strings.SplitSeq(line, ",") {
			element = trim(element)
			const scheme = "bearer"
			if len(element) < len(scheme) || !strings.EqualFold(element[:len(scheme)], scheme) {
				continue
			}
			rest := element[len(scheme):]
			if token := trim(rest); token == "" || len(token) == Len && token != rest {
				values = addValue(values, token)
			}
		}
	}
	return values
}

// Ours reports whether the token is signed, or pretends to be, by a key of the ring.
func (Bearer) Ours(r *Ring, value string) bool { return r.Knows(value) }

// Set puts the ticket into BearerHeader.
func (Bearer) Set(h http.Header, value string, _ bool, _ time.Duration) {
	setHeader(h, BearerHeader, value)
}

// Clear puts BearerHeader without a value into the response.
func (Bearer) Clear(h http.Header, _ bool) { setHeader(h, BearerHeader, "") }

// Renews is false: a header says nothing about lifetimes.
func (Bearer) Renews() bool { return false }

// Knows reports whether a text has the form of a ticket and the id of a key of
// the ring. Both are public: anybody can make such a text, and only Verify
// tells whether it is genuine.
func (r *Ring) Knows(text string) bool {
	if len(text) != Len {
		return false
	}
	const head = 8 // characters, of which the key id is the first part
	var src [head]byte
	var raw [head / 4 * 3]byte
	copy(src[:], text)
	if n, err := encoding.Decode(raw[:], src[:]); err != nil || n != len(raw) {
		return false
	}
	for _, k := range r.keys {
		if [keyIDLen]byte(raw[:keyIDLen]) == k.id {
			return true
		}
	}
	return false
}

// StripAuthorization removes from a request's Authorization whatever holds a
// ticket of the ring: not only bearer tokens, since a reader may be laxer than
// the grammar. With commas between several credentials, the others stay. With
// no ring, all that looks like a ticket is taken for one.
func StripAuthorization(h http.Header, r *Ring) (removed int) {
	lines := h["Authorization"]
	if len(lines) == 0 {
		return 0
	}
	var kept []string
	for _, line := range lines {
		if !holdsTicket(line, r) {
			kept = append(kept, line)
			continue
		}
		removed++
		var others []string
		for element := range strings.SplitSeq(line, ",") {
			if !holdsTicket(element, r) && trim(element) != "" {
				others = append(others, trim(element))
			}
		}
		if len(others) > 0 {
			kept = append(kept, strings.Join(others, ", "))
		}
	}
	switch {
	case removed == 0:
	case len(kept) == 0:
		delete(h, "Authorization")
	default:
		h["Authorization"] = kept
	}
	return removed
}

// holdsTicket reports whether a ticket of the ring stands anywhere in the text,
// with something that no ticket has on both sides.
func holdsTicket(text string, r *Ring) bool {
	start := 0
	for i := 0; i <= len(text); i++ {
		if i < len(text) && isTicketByte(text[i]) {
			continue
		}
		if i-start == Len && (r == nil || r.Knows(text[start:i])) {
			return true
		}
		start = i + 1
	}
	return false
}

func isTicketByte(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
