package jar

import (
	"slices"
	"time"
)

// The bounds of a jar and of one cookie, names and values together.
const (
	DefaultMaxSize = 16 << 10
	LargestMaxSize = 64 << 10
	maxCookies     = 128
	maxCookieSize  = 8 << 10
)

// PastFor is how long a jar is shown to the ticket that a login has replaced.
const PastFor = 10 * time.Second

// Jar holds the cookies of one session. Nil is the empty jar. A jar never
// changes, and may be used concurrently.
type Jar struct {
	cookies []cookie // from the oldest
	notes   []note   // readable cookies that live in the browser, from the oldest
	past    *Jar     // before the last login; one without cookies if there were none
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
	adopted              // from the browser, which does not tell paths
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

func (c *cookie) expired(unix int64) bool { return c.expires != 0 && c.expires <= unix }

func (c *cookie) size() int { return len(c.name) + len(c.value) }

func (j *Jar) isEmpty() bool {
	return j == nil || len(j.cookies)+len(j.notes) == 0 && j.past == nil
}

// indexOf returns the number of the cookie of that key, or -1.
func (j *Jar) indexOf(name, path string) int {
	if j == nil {
		return -1
	}
	for i := range j.cookies {
		if c := &j.cookies[i]; c.name == name && c.path == path {
			return i
		}
	}
	return -1
}

// find is indexOf of a cookie that has not expired.
func (j *Jar) find(name, path string, at time.Time) int {
	i := j.indexOf(name, path)
	if i >= 0 && j.cookies[i].expired(at.Unix()) {
		return -1
	}
	return i
}

// findAdopted returns the number of the adopted cookie of that name, which has
// not expired and which the app has not set since, or -1.
func (j *Jar) findAdopted(name string, at time.Time) int {
	if j == nil {
		return -1
	}
	return slices.IndexFunc(j.cookies, func(c cookie) bool {
		return c.name == name && c.flags&adopted != 0 && !c.expired(at.Unix())
	})
}

// hasName reports whether a cookie has that name, expired or not.
func (j *Jar) hasName(name string) bool {
	return j != nil && slices.ContainsFunc(j.cookies, func(c cookie) bool { return c.name == name })
}

func (j *Jar) hasNoted(name string) bool {
	return j != nil && slices.ContainsFunc(j.notes, func(n note) bool { return n.name == name })
}

// Len returns how many cookies have not expired.
func (j *Jar) Len(at time.Time) (n int) {
	if j == nil {
		return 0
	}
	for i := range j.cookies {
		if !j.cookies[i].expired(at.Unix()) {
			n++
		}
	}
	return n
}

// Past returns the jar as it was before the last login, which is what a ticket
// that the login has replaced is shown; it may be empty. There is none when
// PastFor is over.
func (j *Jar) Past(at time.Time) (past *Jar, ok bool) {
	if j == nil || j.past == nil || at.UnixMilli() >= j.until {
		return nil, false
	}
	if j.past.isEmpty() {
		return nil, true
	}
	return j.past, true
}

// WithPast returns the jar with another, which may be empty, as its past, for
// PastFor: a login was seen.
func (j *Jar) WithPast(past *Jar, at time.Time) *Jar {
	next := Jar{past: past.alone(), until: at.Add(PastFor).UnixMilli()}
	if j != nil {
		next.cookies, next.notes = j.cookies, j.notes
	}
	return &next
}

// WithoutPast returns the jar without its past: a ticket that was replaced is
// shown nothing.
func (j *Jar) WithoutPast() *Jar {
	if j == nil || j.past == nil {
		return j
	}
	if next := j.alone(); !next.isEmpty() {
		return next
	}
	return nil
}

// alone returns a jar of the same cookies and notes, and without a past; never
// nil.
func (j *Jar) alone() *Jar {
	if j == nil {
		return new(Jar)
	}
	return &Jar{cookies: j.cookies, notes: j.notes}
}
