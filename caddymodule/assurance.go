package caddymodule

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// assuranceLimits are the longest timeouts that an authenticator assurance
// level allows.
type assuranceLimits struct{ idle, absolute time.Duration }

// assurances are the figures of NIST SP 800-63B-4, sections 2.1.3, 2.2.3 and
// 2.3.3: the overall timeout and the inactivity timeout. AAL1 has none of the
// latter, so that the overall one stands for it.
var assurances = map[string]assuranceLimits{
	"aal1": {idle: 30 * 24 * time.Hour, absolute: 30 * 24 * time.Hour},
	"aal2": {idle: time.Hour, absolute: 24 * time.Hour},
	"aal3": {idle: 15 * time.Minute, absolute: 12 * time.Hour},
}

// assuranceLevels are the names of the levels, in order.
var assuranceLevels = slices.Sorted(maps.Keys(assurances))

// setAssurance fills in the timeouts of the policy's level, if it has one. A
// shorter absolute timeout shortens the idle one with it.
func (p *Policy) setAssurance() {
	limits, ok := assurances[p.Assurance]
	if !ok {
		return
	}
	setDefault(&p.AbsoluteTimeout, caddy.Duration(limits.absolute))
	setDefault(&p.IdleTimeout, min(caddy.Duration(limits.idle), p.AbsoluteTimeout))
}

// checkAssurance refuses timeouts, defaults included, that are longer than
// those of the level.
func (p *Policy) checkAssurance() error {
	if p.Assurance == "" {
		return nil
	}
	limits, ok := assurances[p.Assurance]
	if !ok {
		last := len(assuranceLevels) - 1
		return fmt.Errorf("assurance is %s or %s, not %q", strings.Join(assuranceLevels[:last], ", "), assuranceLevels[last], p.Assurance)
	}
	for _, t := range []struct {
		option    string
		is        caddy.Duration
		atTheMost time.Duration
	}{
		{"idle_timeout", p.IdleTimeout, limits.idle},
		{"absolute_timeout", p.AbsoluteTimeout, limits.absolute},
		{"idle max_timeout", p.MaxIdleTimeout, limits.idle},
		{"absolute max_timeout", p.MaxAbsoluteTimeout, limits.absolute},
	} {
		if is := time.Duration(t.is); is > t.atTheMost {
			return fmt.Errorf("assurance %s allows an %s of %v at the most, not %v", p.Assurance, t.option, t.atTheMost, is)
		}
	}
	return nil
}
