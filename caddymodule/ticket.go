package caddymodule

import (
	"fmt"
	"net/http"

	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

// Ticket says what carries the ticket.
type Ticket struct {
	// Cookie carries the ticket in a cookie. Default: a cookie with defaults.
	Cookie *Cookie `json:"cookie,omitempty"`
}

// Cookie is the cookie that carries the ticket. It is always HttpOnly.
type Cookie struct {
	// Name of the cookie. Where the cookie is Secure, the prefix `__Host-`
	// is put before it, or `__Secure-` if a domain or another path than /
	// is set. Default: the manager's name and `_session`.
	Name string `json:"name,omitempty"`

	// Path that the browser sends the cookie to, as the browser sees it.
	// Default: /.
	Path string `json:"path,omitempty"`

	// Domain whose subdomains get the cookie too. Default: this host alone.
	Domain string `json:"domain,omitempty"`

	// SameSite is `lax` (the default), `strict`, or `none`, which needs
	// `secure` to be `always`.
	SameSite string `json:"same_site,omitempty"`

	// Secure is `auto` (the default): the cookie is Secure on TLS, and when
	// a trusted proxy says so by X-Forwarded-Proto; or `always`.
	Secure string `json:"secure,omitempty"`

	// Persist keeps the cookie when the browser ends, as long as the session
	// lives. Default: false.
	Persist bool `json:"persist,omitempty"`

	// Partitioned gives the cookie a jar of its own for each top-level site
	// that embeds this one; needs `secure` to be `always`. Default: false.
	Partitioned bool `json:"partitioned,omitempty"`
}

var sameSites = map[string]http.SameSite{
	"lax": http.SameSiteLaxMode, "strict": http.SameSiteStrictMode, "none": http.SameSiteNoneMode,
}

var secureModes = map[string]ticket.SecureMode{"auto": ticket.SecureAuto, "always": ticket.SecureAlways}

func (t *Ticket) withDefaults(manager string) *Ticket {
	var cookie Cookie
	if t != nil && t.Cookie != nil {
		cookie = *t.Cookie
	}
	setDefault(&cookie.Name, manager+"_session")
	setDefault(&cookie.Path, "/")
	setDefault(&cookie.SameSite, "lax")
	setDefault(&cookie.Secure, "auto")
	return &Ticket{Cookie: &cookie}
}

// cookie translates the configuration, defaults included.
func (t *Ticket) cookie() (*ticket.Cookie, error) {
	c := t.Cookie
	sameSite, ok := sameSites[c.SameSite]
	if !ok {
		return nil, fmt.Errorf("same_site is lax, strict or none, not %q", c.SameSite)
	}
	secure, ok := secureModes[c.Secure]
	if !ok {
		return nil, fmt.Errorf("secure is auto or always, not %q", c.Secure)
	}
	return &ticket.Cookie{
		Name: c.Name, Path: c.Path, Domain: c.Domain, SameSite: sameSite,
		Secure: secure, Persist: c.Persist, Partitioned: c.Partitioned,
	}, nil
}
