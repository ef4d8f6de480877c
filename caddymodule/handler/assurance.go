package handler

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// setAssurance fills in the timeouts of the policy's level, if it has one. A
// shorter absolute timeout shortens the idle one with it.
func (p *Policy) setAssurance() {
	level, err := session.FindAssurance(p.Assurance)
	if err != nil { // none; an unknown one is refused by checkAssurance
		return
	}
	cfblock.SetDefault(&p.AbsoluteTimeout, caddy.Duration(level.Overall))
	cfblock.SetDefault(&p.IdleTimeout, min(caddy.Duration(level.Idle()), p.AbsoluteTimeout))
}

// checkAssurance refuses timeouts, defaults included, that are longer than
// those of the level.
func (p *Policy) checkAssurance(is session.Policy) error {
	if p.Assurance == "" {
		return nil
	}
	level, err := session.FindAssurance(p.Assurance)
	if err != nil {
		return err
	}
	return level.Check(is)
}
