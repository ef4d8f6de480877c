package jar

import (
	"fmt"
	"slices"
	"strings"
)

// Options configure the rules. Names are globs, in which * stands for any
// characters, also none.
type Options struct {
	// Mount is the path below which browsers see the app. Empty: what
	// AppPath lacks of BrowserPath, request by request.
	Mount string

	// Jar, Pass and Drop say where the cookies of these names live: in the
	// jar, in the browser, nowhere. Drop prevails over Pass, and Pass over
	// Jar; a single star is for what no other list names. Adopt names
	// cookies of the jar that are taken from the browser when a session
	// begins, Remember those with whose expiry the session lasts.
	Jar, Pass, Drop, Adopt, Remember []string

	// BeginByNavigation begins a session with a page that sets no cookie.
	BeginByNavigation bool

	// MaxSize is the most that a jar holds, names and values together.
	// 0: DefaultMaxSize.
	MaxSize int

	// Export gives the cookies back: those of the browser pass to the app,
	// those of the app to the browser, and Jar.Export returns what is in the jar.
	Export bool
}

// Rules say where cookies go. They never change, and may be used concurrently.
type Rules struct {
	mount                            string // without a slash at its end; empty: by the request
	jar, pass, drop, adopt, remember globs
	beginByNavigation                bool
	maxSize                          int
	export                           bool
}

// NewRules compiles the options, or says what is wrong with them.
func NewRules(o Options) (*Rules, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	r := &Rules{
		mount: strings.TrimRight(o.Mount, "/"),
		jar:   newGlobs(o.Jar), pass: newGlobs(o.Pass), drop: newGlobs(o.Drop),
		adopt: newGlobs(o.Adopt), remember: newGlobs(o.Remember),
		beginByNavigation: o.BeginByNavigation, maxSize: o.MaxSize, export: o.Export,
	}
	if o.Mount != "" && r.mount == "" {
		r.mount = "/"
	}
	if r.maxSize == 0 {
		r.maxSize = DefaultMaxSize
	}
	return r, nil
}

func (o *Options) check() error {
	if o.Mount != "" && (o.Mount[0] != '/' || strings.ContainsAny(o.Mount, "?#;* \t") || hasControl(o.Mount)) {
		return fmt.Errorf("mount %q must be a path that begins with /, as browsers see it, without query, blanks and *", o.Mount)
	}
	if o.MaxSize < 0 || o.MaxSize > LargestMaxSize {
		return fmt.Errorf("max_size of cookies is %d bytes, and may be from 1 to %d (64KiB)", o.MaxSize, LargestMaxSize)
	}
	lists := []struct {
		word     string
		patterns []string
		star     bool     // a single star may stand there
		not      []string // lists that may not have the same
	}{
		{"drop", o.Drop, true, nil},
		{"pass", o.Pass, true, []string{"drop"}},
		{"jar", o.Jar, true, []string{"drop", "pass"}},
		{"adopt", o.Adopt, false, []string{"drop", "pass"}},
		{"remember", o.Remember, false, []string{"drop", "pass"}},
	}
	listed := make(map[string][]string) // the words of the lists that have a pattern
	for _, l := range lists {
		for _, p := range l.patterns {
			if err := checkPattern(l.word, p, l.star); err != nil {
				return err
			}
			for _, other := range listed[p] {
				if other == l.word {
					return fmt.Errorf("%s names %q twice: take one out", l.word, p)
				}
				if slices.Contains(l.not, other) {
					return fmt.Errorf("%q is in %s and in %s: a cookie goes one way, so take it out of one of them", p, other, l.word)
				}
			}
			listed[p] = append(listed[p], l.word)
		}
	}
	return nil
}

func checkPattern(word, p string, star bool) error {
	switch {
	case p == "" || strings.ContainsAny(p, "=;, \t") || hasControl(p):
		return fmt.Errorf("%q in %s cannot be the name of a cookie: a name has neither = nor ; nor , nor blanks, and * stands for any characters", p, word)
	case p != "*" && strings.Trim(p, "*") == "":
		return fmt.Errorf("%q in %s: write a single *", p, word)
	case p == "*" && !star:
		return fmt.Errorf("%s takes names of cookies, and * would be all of them: name those that are meant", word)
	}
	return nil
}

// place is where a cookie lives.
type place uint8

const (
	inJar place = iota
	inBrowser
	nowhere
)

// named returns the place that the lists give to a name, and whether they do.
func (r *Rules) named(name string) (p place, ok bool) {
	switch {
	case r.drop.names(name):
		return nowhere, true
	case r.pass.names(name):
		return inBrowser, true
	case r.jar.names(name) || r.adopt.names(name):
		return inJar, true
	case r.drop.star:
		return nowhere, true
	case r.pass.star:
		return inBrowser, true
	}
	return inJar, r.jar.star
}

// placeOf returns where a cookie goes that the app sets.
func (r *Rules) placeOf(name string, f flags) place {
	if p, ok := r.named(name); ok {
		return p
	}
	if f&httpOnly != 0 || IsSessionName(name) {
		return inJar
	}
	return inBrowser
}

// passes reports that the name is one of those that go both ways.
func (r *Rules) passes(name string) bool {
	p, ok := r.named(name)
	return ok && p == inBrowser
}

// Export reports whether the cookies are given back, for which the session ends.
func (r *Rules) Export() bool { return r.export }

// mountOf returns the path below which the browser sees the app: "/", or a
// path without a slash at its end.
func (r *Rules) mountOf(req *Request) string {
	if r.mount != "" {
		return r.mount
	}
	app := strings.TrimPrefix(req.AppPath, "/")
	mount, ok := strings.CutSuffix(req.BrowserPath, app)
	if mount = strings.TrimRight(mount, "/"); !ok || mount == "" || app != "" && len(mount)+len(app) == len(req.BrowserPath) || strings.Contains(mount, ";") {
		return "/" // also if no Path attribute could bear it
	}
	return mount
}
