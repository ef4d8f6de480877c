package jar

import "time"

// The bounds of a jar and of one cookie, names and values together.
const (
	DefaultMaxSize = 16 << 10
	LargestMaxSize = 64 << 10
	maxCookies     = 128
	maxCookieSize  = 8 << 10
	maxNotes       = 128
)

// PastFor is how long a jar is shown to the ticket that a login has replaced.
const PastFor = 10 * time.Second

// Jar holds the cookies of one session. Nil is the empty jar. A jar never
// changes, and may be used concurrently.
type Jar struct {
	cookies []cookie // from the oldest
	notes   []note   // readable cookies that live in the browser, from the oldest
	past    *Jar     // before the last login
	until   int64    // when the past is over, in Unix milliseconds
}

// cookie is one in the jar. Its key is name and path.
type cookie struct {
	name, path, value string
	domain            string // of the attribute, for the export
	created           int64  // Unix milliseconds; kept when the value is replaced
	expires           int64  // Unix seconds; 0: with the session
	flags             flags
	changes           uint8 // of the value by safe requests; up to maxChanges
}

// note is a readable cookie of the app that lives in the browser.
type note struct {
	name, path, domain string // as the browser was told
	flags              flags
}

type flags uint8

const (
	httpOnly flags = 1 << iota
	secure
	partitioned
	prevailed // a navigation or an unsafe request has changed the value
	hasDomain
	sameSiteShift = iota // two bits: sameSite
	allFlags      = 1<<(sameSiteShift+2) - 1
)

type sameSite uint8

const (
	sameSiteDefault sameSite = iota
	sameSiteNone
	sameSiteLax
	sameSiteStrict
)

// Info is what an operator is told about a cookie: everything but the value.
type Info struct {
	Name, Path       string
	Created, Expires time.Time // Expires is zero if it ends with the session
	Size             int       // of name and value
	HttpOnly, Secure bool
	SameSite         string // strict, lax, none or empty
	InBrowser        bool   // readable: the browser has it, the session its name alone; no times, no size
}
