package handler

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
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
//	ticket header <name>
//	ticket bearer
//
// The line may be repeated with another carrier.
func (s *Handler) parseTicket(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	if s.Ticket == nil {
		s.Ticket = new(Ticket)
	}
	carrier := d.Val()
	var given bool
	var parse func(*caddyfile.Dispenser) error
	switch carrier {
	case "cookie":
		given, parse = s.Ticket.Cookie != nil, s.Ticket.parseCookie
	case "header":
		given, parse = s.Ticket.Header != nil, s.Ticket.parseHeader
	case "bearer":
		given, parse = s.Ticket.Bearer != nil, s.Ticket.parseBearer
	default:
		return d.Errf("unknown carrier '%s' of a ticket; there are cookie, header and bearer", carrier)
	}
	if given {
		return d.Errf("ticket %s is given twice", carrier)
	}
	return parse(d)
}

func (t *Ticket) parseHeader(d *caddyfile.Dispenser) error {
	t.Header = new(TicketHeader)
	return cfblock.OneArg(d, &t.Header.Name)
}

func (t *Ticket) parseBearer(d *caddyfile.Dispenser) error {
	t.Bearer = new(Bearer)
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

func (t *Ticket) parseCookie(d *caddyfile.Dispenser) error {
	c := new(Cookie)
	t.Cookie = c
	if d.NextArg() {
		c.Name = d.Val()
		if d.NextArg() {
			return d.ArgErr()
		}
	}
	b := cfblock.NewBlock(d, "ticket cookie")
	b.Words = map[string]func() error{
		"path":        func() error { return cfblock.OneArg(d, &c.Path) },
		"domain":      func() error { return cfblock.OneArg(d, &c.Domain) },
		"same_site":   func() error { return cfblock.OneOf(d, &c.SameSite, "lax", "strict", "none") },
		"secure":      func() error { return cfblock.OneOf(d, &c.Secure, "auto", "always") },
		"persist":     func() error { return cfblock.NoArgs(d, &c.Persist) },
		"partitioned": func() error { return cfblock.NoArgs(d, &c.Partitioned) },
	}
	return b.Parse()
}
