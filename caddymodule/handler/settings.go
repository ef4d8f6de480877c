package handler

import (
	"errors"
	"fmt"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// settings is what the configuration of a handler comes to: each option is
// understood once, and refused once.
type settings struct {
	handler  Handler // with its defaults
	policy   session.Policy
	carriers carriers
	cookies  *jar.Rules // nil without a cookie jar
}

// resolve fills in what is not configured, and refuses what makes no sense. It
// needs no Provision, so that a Caddyfile's mistakes are told with their line,
// and leaves the handler as it is.
func (h *Handler) resolve() (*settings, error) {
	if h.Manager == "" {
		return nil, errors.New("a session handler needs the name of its manager in `manager`")
	}
	s := &settings{handler: *h}
	s.handler.setDefaults()
	var err error
	if s.policy, err = s.handler.policy(); err != nil {
		return nil, err
	}
	// The domain checks its own policies; this manager opens nothing.
	options := session.Options{Provider: session.Fixed(nil), NewCredential: sessionproxy.CredentialSource(h.Manager)}
	if _, err := session.NewManager(h.Manager, s.policy, options); err != nil {
		return nil, err
	}
	if s.carriers, err = s.handler.Ticket.carriers(); err != nil {
		return nil, err
	}
	if s.cookies, err = s.handler.Cookies.rules(); err != nil {
		return nil, err
	}
	return s, nil
}

// registration describes the handler's manager, with all defaults filled in.
func (s *settings) registration(place string) (app.Registration, error) {
	full := s.handler
	full.HideFromGateways = false // where a handler stands is no policy
	policy, err := app.NewPolicy(full)
	if err != nil {
		return app.Registration{}, fmt.Errorf("describing session manager %s: %w", full.Manager, err)
	}
	return app.Registration{
		Manager: full.Manager, Policy: policy, Cookies: s.carriers.cookies, Headers: s.carriers.headers, Place: place,
	}, nil
}
