package ticket

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Header carries a ticket in a request header, and a new one back in the
// response header of the same name. Immutable once in use.
type Header struct {
	Name string // in canonical form: http.CanonicalHeaderKey
}

// Validate refuses a name that something on the way would change or drop, and
// one that means something else to HTTP, to a proxy or to a browser.
func (c *Header) Validate() error {
	switch {
	case !isPlain(c.Name):
		return fmt.Errorf("header name %q must be letters, digits and -, and begin with a letter", c.Name)
	case strings.HasPrefix(c.Name, "Session-"):
		return fmt.Errorf("header name %q is reserved: apps believe what begins with Session-", c.Name)
	case slices.Contains(taken, c.Name) || slices.ContainsFunc(takenPrefixes, func(p string) bool { return strings.HasPrefix(c.Name, p) }):
		return fmt.Errorf("header name %q has a meaning of its own; choose another one, such as X-Session", c.Name)
	}
	return nil
}

// taken are names that mean something in a request or in a response.
var (
	taken = []string{
		"Age", "Allow", "Alt-Svc", "Authorization", "Cache-Control", "Connection", "Cookie", "Date", "Dnt", "Early-Data",
		"Etag", "Expect", "Expires", "Forwarded", "From", "Host", "Http2-Settings", "Keep-Alive", "Last-Event-Id",
		"Last-Modified", "Link", "Location", "Max-Forwards", "Origin", "Pragma", "Priority", "Range", "Referer", "Refresh",
		"Retry-After", "Server", "Set-Cookie", "Strict-Transport-Security", "Te", "Trailer", "Traceparent", "Tracestate",
		"Upgrade", "User-Agent", "Vary", "Via", "Warning", "Www-Authenticate", "X-Real-Ip",
	}
	takenPrefixes = []string{"Accept", "Access-Control-", "Content-", "If-", "Proxy-", "Sec-", "Transfer-", "X-Accel-", "X-Forwarded-"}
)

// isPlain is stricter than a token: servers and gateways drop or rewrite
// header names with other characters.
func isPlain(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

// Extract returns the values of the request's headers of that name. Several
// headers, or one with commas, are the same thing (RFC 9110 §5.3).
func (c *Header) Extract(h http.Header, _ bool, _ Names) []string {
	var values []string
	for _, line := range h[c.Name] {
		if trim(line) == "" {
			values = addValue(values, "")
			continue
		}
		for value := range strings.SplitSeq(line, ",") {
			if value = trim(value); value != "" {
				values = addValue(values, value)
			}
		}
	}
	return values
}

func addValue(values []string, value string) []string {
	if len(values) >= maxValues || slices.Contains(values, value) {
		return values
	}
	return append(values, value)
}

// Names returns the name of the header.
func (c *Header) Names() Names { return newNames().WithHeaders(c.Name) }

// Claims is true for all but the empty value, by which a client asks for a ticket.
func (c *Header) Claims(_ *Ring, value string) bool { return value != "" }

// Set puts the ticket into the response header of the name.
func (c *Header) Set(h http.Header, value string, _ bool, _ time.Duration) {
	setHeader(h, c.Name, value)
}

// Clear puts the header without a value into the response.
func (c *Header) Clear(h http.Header, _ bool) { setHeader(h, c.Name, "") }

// NeedsRenewal is false: a header says nothing about lifetimes.
func (c *Header) NeedsRenewal() bool { return false }

// WithHeaders returns the set with names of headers that carry tickets, in
// canonical form.
func (n Names) WithHeaders(names ...string) Names {
	n.headers = newNames(names...).names
	return n
}

// HasHeader reports whether a header carries tickets. Case is ignored, and the
// spellings count that servers and gateways turn into the name, as '_' for '-'.
func (n Names) HasHeader(name string) bool {
	for _, own := range n.headers {
		if spells(name, own) {
			return true
		}
	}
	return false
}

func spells(name, own string) bool {
	if len(name) != len(own) {
		return false
	}
	for i := range len(name) {
		a, b := name[i], own[i]
		switch {
		case a == b || b == '-' && (a == '_' || a == '.'):
		case a|0x20 == b|0x20 && 'a' <= a|0x20 && a|0x20 <= 'z':
		default:
			return false
		}
	}
	return true
}

// StripHeaders removes the headers of those names, in any spelling.
func StripHeaders(h http.Header, names Names) (removed int) {
	if len(names.headers) == 0 {
		return 0
	}
	for name := range h {
		if names.HasHeader(name) {
			delete(h, name)
			removed++
		}
	}
	return removed
}
