package jar

import "time"

// Decode reads a jar that Encode has written. Nothing at all is the empty jar.
// The error wraps ErrFormat.
func Decode(index, secret []byte) (*Jar, error) { return nil, nil }

// Encode writes a jar in two parts. The index has names, paths, times, sizes
// and flags; the secret has values, domains and the past. Both are nil for
// the empty jar.
func (j *Jar) Encode() (index, secret []byte) { return nil, nil }

// Describe tells operators what an index has.
func Describe(index []byte) ([]Info, error) { return nil, nil }

// Len returns how many cookies have not expired.
func (j *Jar) Len(at time.Time) int { return 0 }

// With returns the jar as the response wishes it.
func (j *Jar) With(w Wishes, at time.Time) *Jar { return nil }

// Past returns the jar as it was before the last login, which a ticket that
// was replaced then is shown; nil once PastFor is over.
func (j *Jar) Past(at time.Time) *Jar { return nil }

// WithPast returns the jar with another as its past, shown for PastFor: a
// login was seen. A nil past means that none is shown.
func (j *Jar) WithPast(past *Jar, at time.Time) *Jar { return nil }

// Export returns the Set-Cookie lines that give the cookies to the browser.
func (j *Jar) Export(at time.Time) []string { return nil }

// ExpireNoted returns the Set-Cookie lines by which a browser forgets the
// readable cookies of the app.
func (j *Jar) ExpireNoted() []string { return nil }

// Options configure the rules. Names are globs: `*` stands for any
// characters, also none.
type Options struct {
	Mount                            string // where browsers see the app; empty: what is missing in AppPath
	Jar, Pass, Drop, Adopt, Remember []string
	BeginByNavigation                bool
	MaxSize                          int // names and values of a jar; 0: DefaultMaxSize
	Export                           bool
}

// Rules say where cookies go. They never change, and may be used concurrently.
type Rules struct{}

// NewRules compiles the options, or says what is wrong with them.
func NewRules(o Options) (*Rules, error) { return nil, nil }

// Export reports whether cookies are given back and the session ends.
func (r *Rules) Export() bool { return false }

// Begins reports whether a request without a session begins one by what its
// response wishes: never if a page embeds it; page says that the response is
// one that `begin navigation` means.
func (r *Rules) Begins(req *Request, w Wishes, page bool) bool { return false }

// Line is the one Cookie line for the app.
type Line struct {
	Value   string   // empty: no line
	Counts  Counts   // of what was removed
	Unknown []string // names that the app never set and no `pass` names; some of them if there are many
}

// Line makes the app's line of the jar and of what the browser sent.
func (r *Rules) Line(given *Jar, req *Request, browser []string) Line { return Line{} }

// Wishes are what a response wants done to the jar. The zero value is none.
type Wishes struct{}

// IsEmpty reports that nothing is wished.
func (w Wishes) IsEmpty() bool { return true }

// Len returns how many cookies are wished.
func (w Wishes) Len() int { return 0 }

// Then adds the wishes of a later attempt at the same request, which was shown
// given.With(w).
func (w Wishes) Then(later Wishes) Wishes { return w }

// Sorted is a response's Set-Cookie lines, divided.
type Sorted struct {
	Wishes  Wishes
	Browser []string // the lines for the browser
	Counts  Counts
	Host    []string // names with __Host-, which cannot be moved under the mount
}

// Sort divides the Set-Cookie lines of a response to a request that was given
// this jar.
func (r *Rules) Sort(given *Jar, req *Request, lines []string) Sorted { return Sorted{} }

// Adopt returns the wish to take the cookies that `adopt` names from the
// browser, for a request without a session.
func (r *Rules) Adopt(req *Request, browser []string) Wishes { return Wishes{} }

// Expire returns Set-Cookie lines by which the browser forgets what it sent of
// the jar's names, for the response that begins a session.
func (r *Rules) Expire(req *Request, browser []string) []string { return nil }

// Moment is when wishes are applied.
type Moment struct {
	At       time.Time
	Replaced time.Time // when the ticket was last replaced
}

// Merged is the jar that follows.
type Merged struct {
	Jar      *Jar
	Changed  bool      // the jar has to be saved
	Login    bool      // a login was seen: the ticket is to be replaced, and Jar.WithPast(now, …) saved
	Emptied  bool      // the last cookie went
	Remember time.Time // the last expiry of the cookies that `remember` names; zero: none
	Counts   Counts    // of what was dropped or evicted
}

// Merge applies the wishes to the jar as it is stored now.
func Merge(now *Jar, w Wishes, m Moment) Merged { return Merged{} }

// ClearSiteData takes cookies out of a response's Clear-Site-Data values, and
// reports whether they were in: the session ends. The browser would forget
// the cookies of every app of the site.
func ClearSiteData(values []string) (kept []string, ends bool) { return values, false }
