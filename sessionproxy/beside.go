package sessionproxy

import (
	"mime"
	"net/http"
)

// embedded are the destinations (W3C Fetch Metadata §2.1) of what a page
// loads beside itself. Pages, frames and what scripts fetch are none of them.
var embedded = map[string]struct{}{
	"audio": {}, "audioworklet": {}, "font": {}, "image": {}, "manifest": {}, "paintworklet": {}, "script": {},
	"serviceworker": {}, "sharedworker": {}, "style": {}, "track": {}, "video": {}, "worker": {}, "xslt": {},
}

// isBeside reports whether a request stands beside the page that has the
// session's turn: what the page embeds, and event streams, whose headers may
// come late. Such a request rarely writes, so it does not wait for the lock
// until it does. A client that forges these headers gains nothing: its writes are
// held to the version that it has seen.
func isBeside(r *http.Request) bool {
	if accept := r.Header["Accept"]; len(accept) == 1 {
		if kind, _, err := mime.ParseMediaType(accept[0]); err == nil && kind == "text/event-stream" {
			return true // and nothing else is welcome: others do it just in case
		}
	}
	_, ok := embedded[r.Header.Get("Sec-Fetch-Dest")]
	return ok && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}
