package ticket

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// SecureMode says when a cookie is marked Secure.
type SecureMode int

const (
	// SecureAuto marks it on a protected connection.
	SecureAuto SecureMode = iota
	// SecureAlways marks it on every connection.
	SecureAlways
)

// The prefixes by which browsers enforce how a cookie was set (RFC 6265bis §4.1.3).
const (
	hostPrefix   = "__Host-"
	securePrefix = "__Secure-"
)

// Cookie carries a ticket. Immutable once in use.
type Cookie struct {
	Name        string
	Path        string // "/" if empty
	Domain      string
	SameSite    http.SameSite // Lax if zero
	Secure      SecureMode
	Persist     bool // bears Max-Age; otherwise it ends with the browser
	Partitioned bool
}

// Validate refuses what browsers would refuse, and what weakens security.
func (c *Cookie) Validate() error {
	var always = c.Secure == SecureAlways
	host := hasPrefix(c.Name, hostPrefix)
	switch {
	case !isToken(c.Name):
		return fmt.Errorf("cookie name %q must be letters, digits and !#$%%&'*+-.^_`|~", c.Name)
	case !isAttribute(c.path()) || c.path()[0] != '/':
		return fmt.Errorf("cookie path %q must begin with / and hold no semicolon or control character", c.Path)
	case !isAttribute(c.Domain) || strings.ContainsAny(c.Domain, " ,/:"):
		return fmt.Errorf("cookie domain %q must be a host name", c.Domain)
	case host && (c.Domain != "" || c.path() != "/"):
		return errors.New("a cookie named __Host-… must have the path / and no domain")
	case (host || hasPrefix(c.Name, securePrefix)) && !always:
		return errors.New("a cookie named __Host-… or __Secure-… needs `secure always`; without the prefix in the name, it is added on TLS")
	case c.SameSite == http.SameSiteNoneMode && !always:
		return errors.New("`same_site none` needs `secure always`: browsers drop the cookie otherwise")
	case c.Partitioned && !always:
		return errors.New("`partitioned` needs `secure always`: browsers drop the cookie otherwise")
	}
	if err := c.cookie("", always).Valid(); err != nil { // such a cookie would be cut, or not sent
		return err
	}
	return nil
}

func (c *Cookie) path() string {
	if c.Path == "" {
		return "/"
	}
	return c.Path
}

// secure reports whether the cookie is marked Secure on such a connection.
func (c *Cookie) secure(connection bool) bool { return connection || c.Secure == SecureAlways }

// NameOn returns the name that the cookie has on a connection that is
// protected, or is not. Where it is Secure the name bears the prefix, by which
// it cannot be set by another site of the domain or on a clear connection.
func (c *Cookie) NameOn(secure bool) string {
	switch {
	case !c.secure(secure) || hasPrefix(c.Name, hostPrefix) || hasPrefix(c.Name, securePrefix):
		return c.Name
	case c.Domain == "" && c.path() == "/":
		return hostPrefix + c.Name
	}
	return securePrefix + c.Name
}

// Names returns every name that the cookie can have.
func (c *Cookie) Names() Names { return newNames(c.NameOn(false), c.NameOn(true)) }

// Set adds the cookie to a response, and forbids to store that response. A
// lifetime counts only if the cookie persists; it is rounded up to seconds.
func (c *Cookie) Set(h http.Header, value string, secure bool, lifetime time.Duration) {
	cookie := c.cookie(value, secure)
	if c.Persist {
		cookie.MaxAge = max(1, int((lifetime+time.Second-1)/time.Second))
	}
	add(h, cookie)
}

// Clear adds to a response that the browser is to forget the cookie.
func (c *Cookie) Clear(h http.Header, secure bool) {
	cookie := c.cookie("", secure)
	cookie.MaxAge = -1 // written as Max-Age=0
	cookie.Expires = time.Unix(1, 0)
	add(h, cookie)
}

func (c *Cookie) cookie(value string, secure bool) *http.Cookie {
	sameSite := c.SameSite
	if sameSite == 0 {
		sameSite = http.SameSiteLaxMode
	}
	return &http.Cookie{
		Name: c.NameOn(secure), Value: value, Path: c.path(), Domain: c.Domain,
		HttpOnly: true, Secure: c.secure(secure), SameSite: sameSite, Partitioned: c.Partitioned,
	}
}

func add(h http.Header, c *http.Cookie) {
	h.Add("Set-Cookie", c.String())
	h.Set("Cache-Control", "no-store")
}

// hasPrefix ignores case, as browsers do with these prefixes.
func hasPrefix(name, prefix string) bool {
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// isToken is RFC 9110 §5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

func isAttribute(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == ';' })
}
