package caddymodule

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// adminTarget is an open store as an operator's call needs it.
type adminTarget struct {
	store    store.Store
	local    *session.Local
	managers *registry // of the active configuration; nil if it has no sessions
	showData bool      // the configuration allows to show the data of sessions
	release  func()    // called once
}

// findTarget returns the store of the active configuration. If that one has no
// sessions, requests of the one before may still have theirs: then it is the
// one store that is open, if it is one. During a reload to another directory
// both are open, and the active one counts.
func findTarget() (*adminTarget, error) {
	if app, ok := servingApp(); ok {
		st, local, err := app.backend.Borrow()
		if err != nil {
			return nil, unavailable(err)
		}
		return &adminTarget{
			store: st, local: local, managers: app.managers, showData: app.AdminData, release: app.backend.Return,
		}, nil
	}
	open := openDatabases()
	if len(open) != 1 {
		return nil, unavailable(fmt.Errorf("the active configuration has no sessions, and %d session stores are open", len(open)))
	}
	provider := open[0].provider
	db, err := acquireDatabase(provider)
	if err != nil {
		return nil, unavailable(err)
	}
	return &adminTarget{store: db.store, local: db.local, release: func() {
		if err := releaseDatabase(provider); err != nil {
			adminLogger().Error("session store did not close well: " + err.Error())
		}
	}}, nil
}

// servingApp returns the app of the configuration that serves.
func servingApp() (*App, bool) {
	loaded, err := caddy.ActiveContext().AppIfConfigured(appID)
	if err != nil {
		return nil, false
	}
	app, ok := loaded.(*App)
	return app, ok
}

func unavailable(err error) *adminProblem {
	p := problemOf(http.StatusServiceUnavailable, err.Error())
	p.Type = typeUnavailable
	return p
}

// can returns the store's ability, or the problem that it has none.
func can[Ability any](c *adminCall) (Ability, error) {
	ability, ok := c.store.(Ability)
	if !ok {
		p := problemOf(http.StatusNotImplemented, "this kind of session store cannot do that")
		p.Type = typeUnsupported
		return ability, p
	}
	return ability, nil
}
