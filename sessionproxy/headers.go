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

// GatewayMark marks a response of a gateway that was asked instead of the app,
// and is not sent its cookies: what it sets is for the browser, past the jar.
const GatewayMark = "Session-Gateway"

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

// hasWrites reports whether the app's response wants something written.
func hasWrites(h http.Header) bool {
	for _, name := range writeHeaders {
		if _, ok := h[name]; ok {
			return true
		}
	}
	return false
}

// writesBeside reports whether there are writes besides Session-Action that
// its `destroy` makes void.
func writesBeside(h http.Header) bool {
	for _, name := range [...]string{HeaderData, HeaderPatch, HeaderAdd, HeaderPrincipal, HeaderTimeout} {
		if _, ok := h[name]; ok {
			return true
		}
	}
	return false
}
