package jar

import (
	"slices"
	"strconv"
	"time"
)

// maxExpired is how many cookies one response takes from a browser.
const maxExpired = 32

// Export returns the Set-Cookie lines that give the browser the cookies as the
// app has set them.
func (j *Jar) Export(at time.Time) (lines []string) {
	if j == nil {
		return nil
	}
	for i := range j.cookies {
		if c := &j.cookies[i]; !c.expired(at.Unix()) {
			lines = append(lines, c.line(at))
		}
	}
	return lines
}

// line returns the Set-Cookie line of a cookie.
func (c *cookie) line(at time.Time) string {
	b := appendPair(nil, c.name, c.value)
	if c.name == "" {
		b = append([]byte{'='}, b...) // or a = of the value would end its name
	}
	b = append(append(b, "; Path="...), c.path...)
	if c.domain != "" {
		b = append(append(b, "; Domain="...), c.domain...)
	}
	if c.expires != 0 {
		b = strconv.AppendInt(append(b, "; Max-Age="...), c.expires-at.Unix(), 10)
	}
	if c.flags&httpOnly != 0 {
		b = append(b, "; HttpOnly"...)
	}
	if c.flags&secure != 0 {
		b = append(b, "; Secure"...)
	}
	if c.flags&partitioned != 0 {
		b = append(b, "; Partitioned"...)
	}
	if s := c.flags.sameSite(); s != sameSiteDefault {
		b = append(append(b, "; SameSite="...), [...]string{"", "None", "Lax", "Strict"}[s]...)
	}
	return string(b)
}

// expireLine returns the Set-Cookie line by which a browser forgets a cookie.
func (n note) expireLine() string {
	line := n.name + "=; Path=" + n.path
	if n.domain != "" {
		line += "; Domain=" + n.domain
	}
	line += "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
	if n.flags&secure != 0 {
		line += "; Secure"
	}
	if n.flags&partitioned != 0 {
		line += "; Partitioned"
	}
	return line
}

// Adopt returns the wish to take the cookies that `adopt` names from the
// browser, for a request without a session. Their paths are unknown, so they are
// at /, until the app sets or deletes one of that name: it is the same then.
func (r *Rules) Adopt(req *Request, browser []string) Wishes {
	w := Wishes{rules: r, unsafe: req.Unsafe, navigation: req.Navigation}
	if len(r.adopt.named) == 0 || r.export {
		return w
	}
	for p := range pairs(browser) {
		if p.excess || len(w.cookies) == maxExpired || p.name == "" || len(p.name)+len(p.value) > r.maxSize ||
			!r.adopt.names(p.name) || r.drop.names(p.name) || r.pass.names(p.name) || indexOf(w.cookies, p.name, "/") >= 0 {
			continue
		}
		f := httpOnly | adopted
		if req.Secure {
			f |= secure
		}
		w.cookies = append(w.cookies, wish{cookie: cookie{name: p.name, path: "/", value: p.value, flags: f}})
	}
	return w
}

// Expire returns the Set-Cookie lines by which the browser forgets the cookies
// that `jar` and `adopt` name, of those that it sends: for the response that
// begins a session.
func (r *Rules) Expire(req *Request, browser []string) []string {
	return r.expire(req, browser, func(name string) bool {
		return (r.jar.names(name) || r.adopt.names(name)) && !r.drop.names(name) && !r.pass.names(name)
	})
}

// Forget returns the Set-Cookie lines by which the browser forgets the app's
// cookies that live there: those that are noted, and those that it sends and
// that `pass` names. The app has sent Clear-Site-Data.
func (r *Rules) Forget(given *Jar, req *Request, browser []string) (lines []string) {
	if given != nil {
		for _, n := range given.notes {
			if n.name != "" {
				lines = append(lines, n.expireLine())
			}
		}
	}
	return append(lines, r.expire(req, browser, r.pass.names)...)
}

// expire returns the lines for the paths where a cookie that the browser sends
// may be: the mount, with and without the slash, and /.
func (r *Rules) expire(req *Request, browser []string, names func(string) bool) (lines []string) {
	paths := []string{"/"}
	if mount := r.mountOf(req); mount != "/" {
		paths = []string{mount + "/", mount, "/"}
	}
	var f flags
	if req.Secure {
		f = secure
	}
	var done []string
	for p := range pairs(browser) {
		if p.excess || p.name == "" || !names(p.name) || slices.Contains(done, p.name) || len(done) == maxExpired {
			continue
		}
		done = append(done, p.name)
		for _, path := range paths {
			if path == "/" || !isHostName(p.name) {
				lines = append(lines, note{name: p.name, path: path, flags: f}.expireLine())
			}
		}
	}
	return lines
}
