package jar

import (
	"strings"
	"time"
)

// Request is what counts of a request. Paths are as in the request line,
// escaped and without the query.
type Request struct {
	// BrowserPath is the path that the browser asked for, AppPath the one
	// that the app sees, from which handlers have taken a prefix away.
	BrowserPath, AppPath string

	// At is when the request came.
	At time.Time

	// Unsafe: the method is none of GET, HEAD, OPTIONS and TRACE.
	// Navigation: Sec-Fetch-Mode is navigate, or a browser without these
	// headers asks for a page. CrossSite: Sec-Fetch-Site is cross-site.
	// Embedded: Sec-Fetch-Dest is an image, a style, a script, a font or a
	// medium. Secure: the browser's connection is TLS.
	Unsafe, Navigation, CrossSite, Embedded, Secure bool
}

// matches reports whether a cookie of that path goes with the request: by the
// URL that the browser asked for, or by the one that the app sees.
func (r *Request) matches(path string) bool {
	return pathMatches(r.BrowserPath, path) || pathMatches(r.AppPath, path)
}

// pathMatches is RFC 6265bis section 5.1.4.
func pathMatches(url, path string) bool {
	return strings.HasPrefix(url, path) &&
		(len(url) == len(path) || strings.HasSuffix(path, "/") || url[len(path)] == '/') ||
		path == "/" // of an empty URL path
}

// defaultPath is the path of a cookie that bears none, section 5.1.4; cut
// before a semicolon, which would end the attribute where a line bears it.
func defaultPath(url string) string {
	url, _, _ = strings.Cut(url, ";")
	if i := strings.LastIndexByte(url, '/'); i > 0 && url[0] == '/' {
		return url[:i]
	}
	return "/"
}
