package handler

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
)

// parseCookies reads:
//
//	cookies {
//		mount <path>
//		jar <glob>...
//		pass <glob>...
//		drop <glob>...
//		adopt <glob>...
//		login <request matcher>
//		remember <glob>...
//		begin response|navigation
//		max_size <size>
//		export
//	}
//
// The lines with globs may be repeated.
func (s *Handler) parseCookies(h httpcaddyfile.Helper) error {
	d := h.Dispenser
	if d.NextArg() {
		return d.ArgErr()
	}
	c := new(Cookies)
	s.Cookies = c
	globs := func(into *[]string) func() error {
		return func() error { return parseGlobs(d, into) }
	}
	b := cfblock.NewBlock(d, "cookies")
	b.Words = map[string]func() error{
		"mount":    func() error { return cfblock.OneArg(d, &c.Mount) },
		"jar":      globs(&c.Jar),
		"pass":     globs(&c.Pass),
		"drop":     globs(&c.Drop),
		"adopt":    globs(&c.Adopt),
		"login":    func() error { return parseMatcher(h, &c.LoginRaw) },
		"remember": globs(&c.Remember),
		"begin":    func() error { return cfblock.OneOf(d, &c.Begin, beginResponse, beginNavigation) },
		"max_size": func() error { return cfblock.Size(d, &c.MaxSize, 1) },
		"export":   func() error { return cfblock.NoArgs(d, &c.Export) },
	}
	b.Repeats = []string{"jar", "pass", "drop", "adopt", "remember"}
	return b.Parse()
}

// parseGlobs reads the names of cookies, one or more.
func parseGlobs(d *caddyfile.Dispenser, into *[]string) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.ArgErr()
	}
	*into = append(*into, args...)
	return nil
}
