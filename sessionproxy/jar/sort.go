package jar

import (
	"slices"
	"strings"
)

// maxLines is how many Set-Cookie lines of a response count: the last ones.
const maxLines = 256

// Sorted is a response's Set-Cookie lines, divided.
type Sorted struct {
	Wishes  Wishes
	Browser []string // the lines for the browser
	Counts  Counts
	Host    []string // names with __Host-, whose path is /: those of two mounts are one cookie
}

// line is one Set-Cookie line that counts.
type line struct {
	setCookie
	text    string
	path    string // of the attribute, or the default
	deletes bool
}

// Sort divides the Set-Cookie lines of a response to a request that was given
// this jar: what goes into the jar, and what goes to the browser, below the
// mount. A deletion goes where the cookie is.
func (r *Rules) Sort(given *Jar, req *Request, lines []string) Sorted {
	s := Sorted{Wishes: Wishes{rules: r, unsafe: req.Unsafe, navigation: req.Navigation}}
	kept := s.reduce(req, lines)
	for i := range kept {
		r.sort(given, req, kept, &kept[i], &s)
	}
	return s
}

// reduce returns the last line of each cookie, as browsers tell cookies apart.
func (s *Sorted) reduce(req *Request, lines []string) []line {
	if excess := len(lines) - maxLines; excess > 0 {
		s.Counts[DroppedBySize] += excess
		lines = lines[excess:]
	}
	kept := make([]line, 0, len(lines))
	for _, text := range lines {
		c, refused := parseSetCookie(text, req.At)
		l := line{setCookie: c, text: text, path: c.path, deletes: c.deletes(req.At)}
		if l.path == "" {
			l.path = defaultPath(req.BrowserPath)
		}
		if refused == Taken && len(l.path) > maxAttribute {
			refused = DroppedBySize
		}
		if refused != Taken {
			s.Counts[refused]++
			continue
		}
		if i := slices.IndexFunc(kept, l.replaces); i >= 0 {
			kept = slices.Delete(kept, i, i+1)
		}
		kept = append(kept, l)
	}
	return kept
}

// replaces reports whether the line makes an earlier one of the response void.
func (l *line) replaces(earlier line) bool {
	return l.name == earlier.name && l.path == earlier.path && l.domain == earlier.domain
}

// isSet reports whether a line of the response sets the cookie that the jar
// takes this one for. The jar ignores domains: a deletion of what a parent
// domain has is not one of what the response sets.
func (l *line) isSet(lines []line) bool {
	return slices.ContainsFunc(lines, func(o line) bool { return !o.deletes && o.name == l.name && o.path == l.path })
}

func (r *Rules) sort(given *Jar, req *Request, lines []line, l *line, s *Sorted) {
	i, unplaced := given.find(l.name, l.path, req.At), given.findAdopted(l.name, req.At)
	where := r.placeOf(l.name, l.flags)
	switch {
	case r.export && where != nowhere:
		s.Browser = append(s.Browser, l.text)
		s.Counts[Given]++
		return
	case l.deletes && (i >= 0 || unplaced >= 0):
		where = inJar
	case l.deletes && given.has(r.noteOf(req, l)):
		where = inBrowser
	}
	if unplaced >= 0 && unplaced != i && where != nowhere {
		s.wish(given, unplaced, wish{cookie: given.cookies[unplaced], deletes: true})
	}
	switch {
	case where == nowhere:
		s.Counts[DroppedByRule]++
	case where == inBrowser:
		n := r.noteOf(req, l)
		s.give(r, req, l, n)
		if i >= 0 { // the app has made it readable
			s.wish(given, i, wish{cookie: l.cookie(req), deletes: true})
		}
		if !l.deletes && !r.passes(l.name) && !given.has(n) {
			s.Wishes.notes = append(s.Wishes.notes, n)
		}
	case len(l.name)+len(l.value) > r.maxSize:
		s.Counts[DroppedBySize]++
	default:
		s.Counts[Taken]++
		if !l.deletes || !l.isSet(lines) {
			s.wish(given, i, wish{cookie: l.cookie(req), deletes: l.deletes})
		}
	}
}

// wish adds a wish about a cookie that was given, if i is not negative. A wish
// that changes nothing of what was given is none: whatever the jar is by then,
// it would not be granted.
func (s *Sorted) wish(given *Jar, i int, w wish) {
	if earlier := indexOf(s.Wishes.cookies, w.cookie.name, w.cookie.path); earlier >= 0 {
		s.Wishes.cookies = slices.Delete(s.Wishes.cookies, earlier, earlier+1)
	}
	if i >= 0 {
		was := &given.cookies[i]
		w.given = givenCookie{present: true, value: was.value, created: was.created}
		if !w.deletes && !was.differs(&w.cookie) {
			return
		}
	} else if w.deletes {
		return
	}
	s.Wishes.cookies = append(s.Wishes.cookies, w)
}

// cookie returns the cookie that the line sets.
func (l *line) cookie(req *Request) cookie {
	c := cookie{name: l.name, path: l.path, value: l.value, domain: l.domain, created: req.At.UnixMilli(), expires: l.expires, flags: l.flags}
	if c.domain != "" {
		c.flags |= hasDomain
	}
	return c
}

// noteOf returns the note of a line that goes to the browser.
func (r *Rules) noteOf(req *Request, l *line) note {
	path := l.path
	if moved, ok := r.moved(req, l); ok {
		path = moved
	}
	n := note{name: l.name, path: path, domain: l.domain, flags: l.flags & (secure | partitioned)}
	if req.Secure {
		n.flags |= secure
	}
	if n.domain != "" {
		n.flags |= hasDomain
	}
	return n
}

// moved returns the path below the mount that the cookie gets in the browser,
// if it has to be moved there. One that passes and has a domain is meant for
// other hosts, which do not know this mount.
func (r *Rules) moved(req *Request, l *line) (path string, ok bool) {
	mount := r.mountOf(req)
	if mount == "/" || pathMatches(l.path, mount) || isHostName(l.name) || l.domain != "" && r.passes(l.name) {
		return "", false
	}
	if l.path == "/" {
		return mount, true // with a slash it would not match the mount itself
	}
	return mount + l.path, true
}

// give adds the line for the browser, with its path below the mount, and
// Secure on TLS. All else is left as it is.
func (s *Sorted) give(r *Rules, req *Request, l *line, n note) {
	text := l.text
	if _, ok := r.moved(req, l); ok {
		text = withPath(text, n.path)
	} else if isHostName(l.name) && r.mountOf(req) != "/" && !l.deletes {
		s.Host = append(s.Host, l.name)
	}
	if req.Secure && l.flags&secure == 0 {
		text += "; Secure"
	}
	s.Browser = append(s.Browser, text)
	s.Counts[Given]++
}

// withPath returns the line with another path.
func withPath(text, path string) string {
	pair, attributes, _ := strings.Cut(text, ";")
	b := new(strings.Builder)
	b.WriteString(pair)
	for attributes != "" {
		var attribute string
		attribute, attributes, _ = strings.Cut(attributes, ";")
		if name, _ := cutAttribute(attribute); !equalFold(name, "Path") {
			b.WriteByte(';')
			b.WriteString(attribute)
		}
	}
	b.WriteString("; Path=")
	b.WriteString(path)
	return b.String()
}

// isHostName reports the prefix with which browsers take the path / alone.
func isHostName(name string) bool {
	const prefix = "__Host-"
	return len(name) >= len(prefix) && equalFold(name[:len(prefix)], prefix)
}
