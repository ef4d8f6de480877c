// Package sessionproxy is the HTTP side: it reads the ticket of a request,
// hands the session to the app in request headers, reads what the app writes
// from the response headers, and commits before they go to the client. It
// knows net/http and no particular server.
package sessionproxy

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

// Request headers, from the proxy to the app.
const (
	HeaderID    = "Session-Id"
	HeaderState = "Session-State"
	HeaderData  = "Session-Data" // in a response: replaces the data
	HeaderMeta  = "Session-Meta"
)

// Response headers, from the app to the proxy.
const (
	HeaderPatch     = "Session-Patch"
	HeaderAdd       = "Session-Add"
	HeaderAction    = "Session-Action"
	HeaderPrincipal = "Session-Principal"
	HeaderTimeout   = "Session-Timeout"
	HeaderIfVersion = "Session-If-Version"
)

// writeHeaders are those that an app may answer with; none reaches the client.
var writeHeaders = [...]string{
	HeaderData, HeaderPatch, HeaderAdd, HeaderAction, HeaderPrincipal, HeaderTimeout, HeaderIfVersion,
}

// WriteHeaders returns the names of the response headers by which an app writes.
func WriteHeaders() []string { return slices.Clone(writeHeaders[:]) }

// echoHeaders mean something only on the way to the app; an app that sends
// them back has probably copied its request.
var echoHeaders = [...]string{HeaderID, HeaderState, HeaderMeta, HeaderEndpoint, ticket.BearerHeader}

// misspelt reports whether the name of a response header is probably meant to
// be one of those above: it is reserved and none of them, or is one behind X-.
func misspelt(name string) bool {
	own := func(name string) bool {
		return slices.Contains(writeHeaders[:], name) || slices.Contains(echoHeaders[:], name)
	}
	after, x := strings.CutPrefix(name, "X-")
	return x && own(after) || isReserved(name) && !own(name)
}

// isReserved reports whether a header belongs to the proxy: every
// name that begins with "Session-". Servers and gateways turn '_' and '.' into
// '-', and as CGI does, all three into '_'; some do so with whatever is no
// letter or digit. So all those spellings count.
func isReserved(name string) bool {
	const word = "session"
	if len(name) <= len(word) || name[0]|0x20 != word[0] {
		return false
	}
	c := name[len(word)]
	letter, digit := 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9'
	return !letter && !digit && strings.EqualFold(name[:len(word)], word)
}

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
