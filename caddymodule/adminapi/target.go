package adminapi

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// adminTarget is an open store as an operator's call needs it.
type adminTarget struct {
	store    store.Store
	node     *session.Node
	managers *app.Registry // of the active configuration; nil if it has no sessions
	showData bool          // the configuration allows to show the data of sessions
	release  func()        // called once
}

// activeStore returns the store of the active configuration. If that one has no
// sessions, requests of the one before may still have theirs: then it is the
// one store that is open, if it is one. During a reload to another directory
// both are open, and the active one counts.
func activeStore() (*adminTarget, error) {
	if a, ok := servingApp(); ok {
		st, node, err := a.Provider().Acquire()
		if err != nil {
			return nil, unavailable(err)
		}
		return &adminTarget{
			store: st, node: node, managers: a.Registry(), showData: a.AdminData, release: a.Provider().Release,
		}, nil
	}
	open := runtime.OpenStores()
	if len(open) != 1 {
		return nil, unavailable(fmt.Errorf("the active configuration has no sessions, and %d session stores are open", len(open)))
	}
	provider := open[0].Provider
	db, err := runtime.AcquireStore(provider)
	if err != nil {
		return nil, unavailable(err)
	}
	return &adminTarget{store: db.Store, node: db.Node, release: func() {
		if err := runtime.ReleaseStore(provider); err != nil {
			runtime.AdminLogger().Error("session store did not close well: " + err.Error())
		}
	}}, nil
}

// servingApp returns the app of the configuration that serves.
func servingApp() (*app.App, bool) {
	loaded, err := caddy.ActiveContext().AppIfConfigured(runtime.AppID)
	if err != nil {
		return nil, false
	}
	a, ok := loaded.(*app.App)
	return a, ok
}

func unavailable(err error) *adminProblem {
	p := problemOf(http.StatusServiceUnavailable, err.Error())
	p.Type = sessionproxy.TypeUnavailable
	return p
}

// require returns a feature of the store, or the problem that it has it not.
func require[Feature any](feature Feature) (Feature, error) {
	if any(feature) == nil {
		p := problemOf(http.StatusNotImplemented, "this kind of session store cannot do that")
		p.Type = sessionproxy.TypeUnsupported
		return feature, p
	}
	return feature, nil
}
