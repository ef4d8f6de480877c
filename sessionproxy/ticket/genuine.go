package ticket

import (
	"net/http"
	"strings"
)

// StripTickets removes from a header whatever holds a ticket of the ring, in
// any place and under any name: the pair from Cookie, the credentials from
// Authorization, the whole line from all others. A text counts that has the
// characters of a ticket and begins with the id of a key of the ring: only
// Verify knows the scope, and a reader may be laxer than the grammar. With no
// ring, every text of the form counts. It returns how many it removed.
//
// The time is that of one search over the header values for each key, however
// many managers share the ring.
func StripTickets(h http.Header, r *Ring) (removed int) {
	for name, lines := range h {
		switch {
		case !Holds(lines, r):
		case name == "Cookie":
			removed += strip(h, func(pair string) bool { return len(pair) >= Len && holdsTicket(pair, r) })
		default:
			removed += stripLines(h, name, r)
		}
	}
	return removed
}

// Holds reports whether one of the values of a header holds a ticket of the
// ring, as StripTickets judges.
func Holds(values []string, r *Ring) bool {
	for _, value := range values {
		if len(value) >= Len && holdsTicket(value, r) {
			return true
		}
	}
	return false
}

// stripLines removes the lines of a header that hold a ticket. Of several
// credentials in one line of Authorization, with commas between, the others stay.
func stripLines(h http.Header, name string, r *Ring) (removed int) {
	var kept []string
	for _, line := range h[name] {
		if !holdsTicket(line, r) {
			kept = append(kept, line)
			continue
		}
		removed++
		if name != "Authorization" {
			continue
		}
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
	if len(kept) == 0 {
		delete(h, name)
	} else {
		h[name] = kept
	}
	return removed
}

// holdsTicket reports whether a ticket of the ring stands anywhere in the text.
func holdsTicket(text string, r *Ring) bool {
	if r == nil {
		return holdsTicketForm(text)
	}
	for _, k := range r.keys {
		for rest := text; ; {
			at := strings.Index(rest, k.start)
			if at < 0 || len(rest)-at < Len {
				break
			}
			if isTicketText(rest[at:at+Len]) && r.HasKeyOf(rest[at:at+Len]) {
				return true
			}
			rest = rest[at+1:]
		}
	}
	return false
}

// holdsTicketForm reports whether a text of a ticket's form stands in another
// one, with something that no ticket has on both sides.
func holdsTicketForm(text string) bool {
	start := 0
	for i := 0; i <= len(text); i++ {
		if i < len(text) && isTicketByte[text[i]] {
			continue
		}
		if i-start == Len {
			return true
		}
		start = i + 1
	}
	return false
}

func isTicketText(text string) bool {
	for i := range len(text) {
		if !isTicketByte[text[i]] {
			return false
		}
	}
	return true
}

// isTicketByte tells the characters of base64url.
var isTicketByte = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		is[c] = true
	}
	return is
}()
