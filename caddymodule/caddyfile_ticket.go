package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// parseTicket reads:
//
//	ticket cookie [<name>] {
//		path <path>
//		domain <domain>
//		same_site lax|strict|none
//		secure auto|always
//		persist
//		partitioned
//	}
func (s *Handler) parseTicket(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	if d.Val() != "cookie" {
		return d.Errf("unknown carrier '%s' of a ticket; there is cookie", d.Val())
	}
	c := new(Cookie)
	s.Ticket = &Ticket{Cookie: c}
	if d.NextArg() {
		c.Name = d.Val()
		if d.NextArg() {
			return d.ArgErr()
		}
	}
	b := newBlock(d, "ticket cookie")
	b.words = map[string]func() error{
		"path":        func() error { return oneArg(d, &c.Path) },
		"domain":      func() error { return oneArg(d, &c.Domain) },
		"same_site":   func() error { return oneOf(d, &c.SameSite, "lax", "strict", "none") },
		"secure":      func() error { return oneOf(d, &c.Secure, "auto", "always") },
		"persist":     func() error { return noArgs(d, &c.Persist) },
		"partitioned": func() error { return noArgs(d, &c.Partitioned) },
	}
	return b.parse()
}
