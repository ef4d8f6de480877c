package handler

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
)

// parseRotation reads:
//
//	rotate_every <duration> [grace <duration>]
func (s *Handler) parseRotation(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 1 && len(args) != 3 {
		return d.ArgErr()
	}
	if err := cfblock.ParseDuration(d, "rotate_every", args[0], &s.RotateEvery, 1); err != nil || len(args) == 1 {
		return err
	}
	if args[1] != "grace" {
		return d.Errf("unknown word '%s' of rotate_every; there is grace", args[1])
	}
	s.RotateGrace = new(caddy.Duration)
	return cfblock.ParseDuration(d, "grace of rotate_every", args[2], s.RotateGrace, 0)
}

// parse reads:
//
//	max_per_principal <n> evict_oldest|refuse
func (l *PrincipalLimit) parse(d *caddyfile.Dispenser) error {
	var sessions string
	if !d.AllArgs(&sessions, &l.Beyond) {
		return d.ArgErr()
	}
	n, err := strconv.Atoi(sessions)
	if err != nil || n < 1 {
		return d.Errf("parsing max_per_principal: '%s' is not a positive number", sessions)
	}
	l.Sessions = n
	if l.Beyond != evictOldest && l.Beyond != refuseSignIn {
		return d.Errf("parsing max_per_principal: beyond %d sessions it is to %s or %s, not '%s'", n, evictOldest, refuseSignIn, l.Beyond)
	}
	return nil
}
