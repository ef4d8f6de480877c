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

// Extract returns the bearer tokens that have the length of a ticket, and the
// empty text if the scheme stands alone. The scheme's case does not matter
// (RFC 9110 §11.1).
func (Bearer) Extract(h http.Header, _ bool, _ Names) []string {
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

// Names is empty: Authorization has other uses.
func (Bearer) Names() Names { return Names{} }

// Claims reports whether the token is signed, or pretends to be, by a key of the ring.
func (Bearer) Claims(r *Ring, value string) bool { return r.HasKeyOf(value) }

// Set puts the ticket into BearerHeader.
func (Bearer) Set(h http.Header, value string, _ bool, _ time.Duration) {
	setHeader(h, BearerHeader, value)
}

// Clear puts BearerHeader without a value into the response.
func (Bearer) Clear(h http.Header, _ bool) { setHeader(h, BearerHeader, "") }

// NeedsRenewal is false: a header says nothing about lifetimes.
func (Bearer) NeedsRenewal() bool { return false }

// HasKeyOf reports whether a text has the form of a ticket and the id of a key of
// the ring. Both are public: any client can make such a text, and only Verify
// tells whether it is genuine.
func (r *Ring) HasKeyOf(text string) bool {
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
