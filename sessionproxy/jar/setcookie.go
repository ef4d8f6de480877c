package jar

import (
	"strings"
	"time"
)

// maxAttribute is the longest value of an attribute that counts, and the
// longest path of a cookie.
const maxAttribute = 1024

// maxAge is how far ahead an expiry may be, in seconds: 400 days.
const maxAge = 400 * 24 * 60 * 60

// setCookie is a Set-Cookie line, read as browsers read it.
type setCookie struct {
	name, value  string
	path, domain string // of the attributes; an empty path is the default
	expires      int64  // Unix seconds, at least 1; 0: with the session
	flags        flags
}

// deletes reports whether the line takes the cookie away.
func (c *setCookie) deletes(at time.Time) bool { return c.expires != 0 && c.expires <= at.Unix() }

// parseSetCookie reads a line after RFC 6265bis section 5.6, but for the size
// of a cookie, which may be larger here. Names and values are kept byte for
// byte. The kind says why a line is refused; Taken if it is not.
func parseSetCookie(line string, at time.Time) (c setCookie, refused Kind) {
	if len(line) > maxCookieSize+8*maxAttribute { // far more than any cookie has
		return c, DroppedBySize
	}
	if hasControl(line) {
		return c, DroppedInvalid
	}
	pair, attributes, _ := strings.Cut(line, ";")
	c.name, c.value = cutPair(pair)
	switch {
	case c.name == "" && c.value == "":
		return c, DroppedInvalid
	case len(c.name)+len(c.value) > maxCookieSize:
		return c, DroppedBySize
	}
	var age age
	for attributes != "" {
		var attribute string
		attribute, attributes, _ = strings.Cut(attributes, ";")
		c.read(attribute, at, &age)
	}
	c.expires = age.expires
	if age.max != 0 {
		c.expires = age.max
	}
	return c, Taken
}

// age is what the last of each attribute says about the expiry; 0: nothing.
type age struct{ max, expires int64 }

// read applies one attribute, section 5.6.1 to 5.6.7. The last of a name counts.
func (c *setCookie) read(attribute string, at time.Time, age *age) {
	name, value := cutAttribute(attribute)
	if len(value) > maxAttribute {
		return
	}
	switch {
	case equalFold(name, "Path"):
		c.path = ""
		if strings.HasPrefix(value, "/") {
			c.path = value
		}
	case equalFold(name, "HttpOnly"):
		c.flags |= httpOnly
	case equalFold(name, "Secure"):
		c.flags |= secure
	case equalFold(name, "Partitioned"):
		c.flags |= partitioned
	case equalFold(name, "SameSite"):
		c.flags = c.flags.withSameSite(parseSameSite(value))
	case equalFold(name, "Max-Age"):
		if seconds, ok := parseMaxAge(value); ok {
			age.max = expiry(at.Unix()+seconds, at)
			if seconds <= 0 {
				age.max = 1
			}
		}
	case equalFold(name, "Expires"):
		if date, ok := parseDate(value); ok {
			age.expires = expiry(date, at)
		}
	case equalFold(name, "Domain"):
		c.domain = value
	}
}

// expiry returns the time of an expiry, as far ahead as it may be and never 0.
func expiry(unix int64, at time.Time) int64 { return max(1, min(unix, at.Unix()+maxAge)) }

// parseMaxAge returns the seconds, at most maxAge; 0 for anything negative.
func parseMaxAge(s string) (seconds int64, ok bool) {
	digits, negative := strings.CutPrefix(s, "-")
	if digits == "" {
		return 0, false
	}
	for i := range len(digits) {
		if !isDigit(digits[i]) {
			return 0, false
		}
		seconds = min(seconds*10+int64(digits[i]-'0'), maxAge)
	}
	if negative {
		return 0, true
	}
	return seconds, true
}

func parseSameSite(s string) sameSite {
	switch {
	case equalFold(s, "None"):
		return sameSiteNone
	case equalFold(s, "Lax"):
		return sameSiteLax
	case equalFold(s, "Strict"):
		return sameSiteStrict
	}
	return sameSiteDefault
}

func (f flags) withSameSite(s sameSite) flags {
	return f&^(3<<sameSiteShift) | flags(s)<<sameSiteShift
}

func (f flags) sameSite() sameSite { return sameSite(f >> sameSiteShift & 3) }

func (s sameSite) String() string {
	return [...]string{"", "none", "lax", "strict"}[s]
}

// cutPair divides name and value; without = all of it is the value.
func cutPair(pair string) (name, value string) {
	name, value, found := strings.Cut(pair, "=")
	if !found {
		name, value = "", name
	}
	return trim(name), trim(value)
}

// cutAttribute divides name and value; without = all of it is the name.
func cutAttribute(attribute string) (name, value string) {
	name, value, _ = strings.Cut(attribute, "=")
	return trim(name), trim(value)
}

// trim takes blanks and tabs from both ends.
func trim(s string) string { return strings.Trim(s, " \t") }

// hasControl reports a control character other than a tab.
func hasControl(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

// equalFold ignores the case of ASCII letters; b is ASCII. Of letters that fold
// to ASCII none has a single byte.
func equalFold(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
