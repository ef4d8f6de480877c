package handler

import (
	"fmt"
	"net/http"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

// Ticket says what carries the ticket. Several carriers can be set: each
// request is read from all of them, and a new ticket goes back by the carrier
// that bore the old one. A client that has none yet asks for one by an empty
// header, or by `Authorization: Bearer` without a token; a client that sends neither gets
// it by the first of cookie, header, bearer that is set.
type Ticket struct {
	// Cookie carries the ticket in a cookie. Default: a cookie with defaults,
	// if nothing else is set either.
	Cookie *Cookie `json:"cookie,omitempty"`

	// Header carries the ticket in a request header, for clients without
	// cookies. A new one comes back in the response header of the same name;
	// an empty one says that the ticket is void.
	Header *TicketHeader `json:"header,omitempty"`

	// Bearer carries the ticket as bearer token in `Authorization`. A new one
	// comes back in the response header `Session-Ticket`; an empty one says
	// that the ticket is void. Tokens that are no ticket pass to the app.
	Bearer *Bearer `json:"bearer,omitempty"`
}

// TicketHeader is the header that carries the ticket.
type TicketHeader struct {
	// Name of the header, such as X-Session: letters, digits and hyphens, and
	// none that means something else. No app sees the header.
	Name string `json:"name,omitempty"`
}

// Bearer carries the ticket as bearer token. It has no options.
type Bearer struct{}

// Cookie is the cookie that carries the ticket. It is always HttpOnly.
type Cookie struct {
	// Name of the cookie. Where the cookie is Secure, the prefix `__Host-`
	// is put before it, or `__Secure-` if a domain or another path than /
	// is set. Default: the manager's name and `_ticket`.
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
	var full Ticket
	if t != nil {
		full = *t
	}
	if full == (Ticket{}) {
		full.Cookie = new(Cookie)
	}
	if full.Cookie != nil {
		cookie := *full.Cookie
		cfblock.SetDefault(&cookie.Name, manager+"_ticket")
		cfblock.SetDefault(&cookie.Path, "/")
		cfblock.SetDefault(&cookie.SameSite, "lax")
		cfblock.SetDefault(&cookie.Secure, "auto")
		full.Cookie = &cookie
	}
	if full.Header != nil {
		full.Header = &TicketHeader{Name: http.CanonicalHeaderKey(full.Header.Name)}
	}
	return &full
}

// carriers is what the configuration of a ticket comes to.
type carriers struct {
	carriers []ticket.Carrier
	cookies  []string // every name that the cookie can have
	headers  []string
	exposed  bool // a ticket may travel over a clear connection
}

// carriers translates the configuration, defaults included, and refuses what
// weakens security.
func (t *Ticket) carriers() (c carriers, err error) {
	if t.Cookie != nil {
		cookie, err := t.Cookie.translate()
		if err != nil {
			return c, err
		}
		if err := cookie.Validate(); err != nil {
			return c, err
		}
		c.carriers, c.cookies = append(c.carriers, cookie), cookie.Names().Cookies()
		c.exposed = cookie.Secure == ticket.SecureAuto
	}
	if t.Header != nil {
		header := &ticket.Header{Name: t.Header.Name}
		if err := header.Validate(); err != nil {
			return c, err
		}
		c.carriers, c.headers, c.exposed = append(c.carriers, header), []string{header.Name}, true
	}
	if t.Bearer != nil {
		c.carriers, c.exposed = append(c.carriers, ticket.Bearer{}), true
	}
	return c, nil
}

// logged returns the fields of Caddy's logs that would hold a ticket: the
// error log tells a request's headers, the access log those of both.
func (t *Ticket) logged(access bool) (fields []string) {
	if t.Header != nil {
		fields = append(fields, "request>headers>"+t.Header.Name)
	}
	if t.Header != nil && access {
		fields = append(fields, "resp_headers>"+t.Header.Name)
	}
	if t.Bearer != nil && access {
		fields = append(fields, "resp_headers>"+ticket.BearerHeader)
	}
	return fields
}

func (c *Cookie) translate() (*ticket.Cookie, error) {
	sameSite, ok := sameSites[c.SameSite]
	if !ok {
		return nil, fmt.Errorf("same_site is lax, strict or none, not %q", c.SameSite)
	}
	secure, ok := secureModes[c.Secure]
	if !ok {
		return nil, fmt.Errorf("secure is auto or always, not %q", c.Secure)
	}
	if jar.IsSessionName(c.Name) {
		return nil, fmt.Errorf("ticket cookie '%s' has a name that web frameworks give to their own sessions, so an app would lose its cookie to the proxy; take another name", c.Name)
	}
	return &ticket.Cookie{
		Name: c.Name, Path: c.Path, Domain: c.Domain, SameSite: sameSite,
		Secure: secure, Persist: c.Persist, Partitioned: c.Partitioned,
	}, nil
}
