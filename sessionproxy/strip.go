package sessionproxy

import (
	"net/http"
	"strings"
)

// stripReserved removes every reserved request header and trailer, and the
// names among the tokens of Connection, by which a client could make the next
// hop drop a header that was injected. It returns how many it removed.
//
// All request trailers go: undeclared ones are merged in when the body ends,
// too late for any check (net/http does that).
func stripReserved(r *http.Request) (removed int) {
	for name := range r.Header {
		if isReserved(name) {
			delete(r.Header, name)
			removed++
		}
	}
	if lines := r.Header["Connection"]; len(lines) > 0 {
		removed += stripTokens(r.Header, "Connection", lines, isReserved)
	}
	for name := range r.Trailer {
		if isReserved(name) {
			removed++
		}
	}
	r.Trailer = nil
	delete(r.Header, "Trailer")
	return removed
}

// stripTokens rewrites a comma-separated header without unwanted names. The
// header's other tokens keep their order.
func stripTokens(h http.Header, name string, lines []string, unwanted func(string) bool) (removed int) {
	found := false
	for _, line := range lines {
		for token := range strings.SplitSeq(line, ",") {
			found = found || unwanted(strings.TrimSpace(token))
		}
	}
	if !found {
		return 0
	}
	var kept []string
	for _, line := range lines {
		for token := range strings.SplitSeq(line, ",") {
			if token = strings.TrimSpace(token); unwanted(token) {
				removed++
			} else if token != "" {
				kept = append(kept, token)
			}
		}
	}
	if len(kept) == 0 {
		delete(h, name)
	} else {
		h[name] = []string{strings.Join(kept, ", ")}
	}
	return removed
}
