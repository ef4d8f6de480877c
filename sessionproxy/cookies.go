package sessionproxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// Cookies keeps the cookies of an app that knows nothing of sessions in the
// session of each request: see package jar. The manager needs the same rules.
type Cookies struct {
	Rules *jar.Rules
	// Login reports whether a request is a sign-in, whose success replaces the
	// ticket at once; nil means none.
	Login func(*http.Request) bool
	// BrowserPath returns the path that the browser asked for, escaped; nil
	// means that it is the one that the handler sees.
	BrowserPath func(*http.Request) string
	// Came is called with the Cookie lines of a request, without tickets, before
	// the app gets others in their place; nil means no observer.
	Came func(r *http.Request, lines []string)
	// Unknown is called with the name of a cookie that the browser sent in an
	// active session, and that did not reach the app since the app never set
	// it and no rule names it; nil means no observer.
	Unknown func(name string)
	// Fixed is called with the name of a cookie that cannot be moved under the
	// mount, since its name begins with __Host-; nil means no observer.
	Fixed func(name string)
	// Refused is called when a cookie was too large for the jar, or went out of
	// it for newer ones; nil means no observer.
	Refused func()
	// LongLine is called with the length of a Cookie line that some servers
	// refuse; nil means no observer.
	LongLine func(size int)
	// Lost is called when a stored jar cannot be read, and counts as empty; nil
	// means no observer.
	Lost func(error)
}

// longLine is the length of a Cookie line, in bytes, from which on apps refuse it:
// one of 8 KiB is more than all headers may have together with some servers.
const longLine = 7 << 10

// requestJar is what one request knows of its jar, through all attempts at it.
type requestJar struct {
	of      *Cookies
	request *jar.Request
	login   bool       // the request is a sign-in
	browser []string   // the Cookie lines, without tickets
	given   *jar.Jar   // to this attempt, without earlier wishes
	active  bool       // the attempt has a session
	ends    bool       // and may end it
	earlier jar.Wishes // adopted, and of attempts that were dropped
}

// newJar reads what a request says of cookies, which is without tickets now.
func (c *Cookies) newJar(r *http.Request, secure bool) *requestJar {
	j := &requestJar{of: c, request: c.describe(r, secure), browser: r.Header["Cookie"]}
	j.login = c.Login != nil && c.Login(r)
	if c.Came != nil {
		c.Came(r, j.browser)
	}
	return j
}

// describe tells the jar what counts of a request.
func (c *Cookies) describe(r *http.Request, secure bool) *jar.Request {
	q := &jar.Request{AppPath: r.URL.EscapedPath(), At: time.Now(), Secure: secure}
	q.BrowserPath = q.AppPath
	if c.BrowserPath != nil {
		q.BrowserPath = c.BrowserPath(r)
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
	default:
		q.Unsafe = true
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		q.Navigation = mode == "navigate"
	} else {
		q.Navigation = r.Header.Get("X-Requested-With") == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
	}
	q.CrossSite = r.Header.Get("Sec-Fetch-Site") == "cross-site"
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "image", "style", "script", "font", "audio", "video", "track":
		q.Embedded = true
	}
	return q
}

// form names the form that the request sends, if it sends one.
func (j *requestJar) form(r *http.Request) string {
	if !j.request.Unsafe || !j.request.Navigation {
		return ""
	}
	// Two forms at one URL differ in their bodies, which have passed on: their
	// lengths tell most of them apart.
	return fmt.Sprint(r.Method, " ", j.request.BrowserPath, "?", r.URL.RawQuery, " ", r.ContentLength)
}

// shown returns the jar as the app sees it.
func (j *requestJar) shown() *jar.Jar { return j.given.With(j.earlier, j.request.At) }

// giveCookies replaces the request's cookies by those that the app is to have.
func (w *writer) giveCookies(h http.Header, s *session.Session) {
	j := w.cookies
	var kept bool
	j.given, kept = s.Jar()
	j.active, j.ends = s.State() == session.Active, kept && !s.Meta().ReadOnly
	// A dead ticket shows that the browser's cookies were adopted before.
	if kept && s.State() == session.New && w.attempt <= 1 {
		j.earlier = j.of.Rules.Adopt(j.request, j.browser)
	}
	line := j.of.Rules.Line(j.shown(), j.request, j.browser)
	w.h.metrics.countCookies(&line.Counts)
	if line.Value == "" {
		delete(h, "Cookie")
	} else {
		h["Cookie"] = []string{line.Value}
	}
	if j.active && j.of.Unknown != nil {
		for _, name := range line.Unknown {
			j.of.Unknown(name)
		}
	}
	if len(line.Value) > longLine && j.of.LongLine != nil {
		j.of.LongLine(len(line.Value))
	}
	if err := s.JarLost(); err != nil && j.of.Lost != nil {
		w.h.metrics.lostJar.Inc()
		j.of.Lost(err)
	}
}

// giveBack gives the request the cookies of the browser again: what else serves
// it is no app of this session.
func (j *requestJar) giveBack(h http.Header) {
	if len(j.browser) == 0 {
		delete(h, "Cookie")
	} else {
		h["Cookie"] = j.browser
	}
}

// takeCookies takes the cookies that the app sets out of its response, leaves
// those for the browser, and returns what they mean for the session. Called
// once, for a final status.
func (w *writer) takeCookies(h http.Header, status int) *change.Cookies {
	j := w.cookies
	if _, ok := h[GatewayMark]; ok { // its cookies are not the app's
		delete(h, GatewayMark)
		return nil
	}
	rules, shown := j.of.Rules, j.shown()
	w.h.count(w.h.metrics.setCookie, w.h.stripSetCookie(h))
	browser, lines := w.divideSetCookie(h)
	sorted := rules.Sort(shown, j.request, lines)
	w.h.metrics.countCookies(&sorted.Counts)
	j.tell(&sorted)
	c := &change.Cookies{Wishes: j.earlier.Then(sorted.Wishes), Login: j.login && status < 400}
	page := j.request.Navigation && !j.request.Unsafe && status < 300
	c.Begin = rules.Begins(j.request, c.Wishes, page)
	if kept, ends := jar.ClearSiteData(h["Clear-Site-Data"]); ends {
		setLines(h, "Clear-Site-Data", kept)
		if c.End = j.active && j.ends; c.End {
			browser = append(browser, rules.Forget(shown, j.request, j.browser)...)
		}
	}
	if rules.Export() && j.active && j.ends {
		c.End = true
		browser = append(browser, shown.Export(j.request.At)...)
		h["Cache-Control"] = []string{"no-store"} // whatever the app says of its page
	} else if sorted.Counts[jar.Taken] > 0 {
		keepPrivate(h)
	}
	setLines(h, "Set-Cookie", append(browser, sorted.Browser...))
	if c.Wishes.IsEmpty() && !c.Begin && !c.Login && !c.End {
		return nil
	}
	return c
}

// endCookies tells the browser what the commit means for its own cookies: one
// that was sent so far under a name of the jar is of no use any more.
func (w *writer) endCookies(h http.Header, out *session.Outcome) {
	j := w.cookies
	if out.Cookies != nil {
		w.h.metrics.countCookies(out.Cookies)
		if out.Cookies[jar.DroppedBySize]+out.Cookies[jar.Evicted] > 0 && j.of.Refused != nil {
			j.of.Refused()
		}
	}
	if out.Created {
		for _, line := range j.of.Rules.Expire(j.request, j.browser) {
			h.Add("Set-Cookie", line)
		}
	}
}

// tell tells observers what the app's cookies have come to.
func (j *requestJar) tell(sorted *jar.Sorted) {
	if j.of.Fixed != nil {
		for _, name := range sorted.Host {
			j.of.Fixed(name)
		}
	}
	if sorted.Counts[jar.DroppedBySize] > 0 && j.of.Refused != nil {
		j.of.Refused()
	}
}

// divideSetCookie divides the cookies that handlers before the session have
// set, which are for the browser, from those of the app.
func (w *writer) divideSetCookie(h http.Header) (outer, app []string) {
	lines := h["Set-Cookie"]
	for _, f := range w.before {
		if f.name == "Set-Cookie" && len(f.values) <= len(lines) && slices.Equal(f.values, lines[:len(f.values)]) {
			return slices.Clip(lines[:len(f.values)]), lines[len(f.values):]
		}
	}
	return nil, lines
}

func setLines(h http.Header, name string, lines []string) {
	if len(lines) == 0 {
		delete(h, name)
	} else {
		h[name] = lines
	}
}

// keepPrivate keeps a response out of shared caches. They go by its
// Set-Cookie, which is in the jar now.
func keepPrivate(h http.Header) {
	for _, line := range h["Cache-Control"] {
		for word := range strings.SplitSeq(line, ",") {
			if word = strings.ToLower(strings.TrimSpace(word)); word == "no-store" || word == "private" {
				return
			}
		}
	}
	kept := slices.DeleteFunc(strings.Split(strings.Join(h["Cache-Control"], ","), ","), func(word string) bool {
		word = strings.ToLower(strings.TrimSpace(word))
		return word == "" || word == "public" || strings.HasPrefix(word, "private=") || strings.HasPrefix(word, "s-maxage")
	})
	h["Cache-Control"] = []string{strings.Join(append([]string{"private"}, kept...), ",")}
}
