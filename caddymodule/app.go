// Package caddymodule puts sessionproxy into Caddy: the `sessions` app, which
// owns the store and the keys, the `session` handler, and their Caddyfile.
package caddymodule

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App is what all session handlers of a configuration share: where sessions
// are kept, and the keys that sign what browsers carry. Without configuration
// it keeps sessions in Caddy's data directory under a key made once.
type App struct {
	// StoreRaw is the store of all sessions. Default: `badger`, an embedded
	// database in the folder `sessions` of Caddy's data directory.
	//
	// The store stays open across reloads. Its options can be changed only by
	// a restart; a reload that changes them is refused. A store in another
	// directory is another store, and a reload may move to it.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=sessions.stores inline_key=engine"`

	// TicketKeys sign and verify the tickets in browsers' cookies, newest
	// first: the first one signs, all of them verify. A key is 32 bytes,
	// written as hex or base64. Placeholders such as `{env.TICKET_KEY}` and
	// `{file./run/secrets/ticket}` are resolved when the configuration
	// loads, and stay placeholders in what the admin API shows. Default: a
	// key that is made once and kept in Caddy's storage.
	TicketKeys []string `json:"ticket_keys,omitempty"`

	// Endpoint is where apps read and write the session of the request that
	// they are serving, besides the headers. Default: on `127.0.0.1:2020`.
	Endpoint *Endpoint `json:"endpoint,omitempty"`

	// AdminData lets Caddy's admin endpoint show the data of a session to
	// who asks for it by `data=true`. A backup holds all data in any case.
	// Default: false.
	AdminData bool `json:"admin_data,omitempty"`

	logger   *zap.Logger
	backend  *backend
	keys     *keySource
	managers *registry
	endpoint *endpointServer // nil if it is disabled
	released sync.Once       // the reference to it
}

// appID names the app in a configuration.
const appID = "sessions"

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: appID, New: func() caddy.Module { return new(App) }}
}

// Provision loads the store's module and reads the keys of the configuration.
// It opens no database, so that a configuration can be validated beside a
// running server; only one that this process has open already is shared now,
// so that a reload that does not fit it is refused before anything starts.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	a.managers = newRegistry()
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	keys, err := newKeySource(a.TicketKeys, ctx.Storage(), a.logger)
	if err != nil {
		return err
	}
	a.keys = keys
	provider, err := a.loadStore(ctx)
	if err != nil {
		return err
	}
	if err := a.provisionEndpoint(); err != nil {
		return err
	}
	a.backend = newBackend(provider, a.logger)
	return a.backend.adopt()
}

func (a *App) provisionEndpoint() error {
	if a.Endpoint == nil {
		a.Endpoint = new(Endpoint)
	}
	if a.Endpoint.Disabled {
		return nil
	}
	setDefault(&a.Endpoint.Listen, defaultEndpoint)
	address, err := a.Endpoint.parse()
	if err != nil {
		return err
	}
	a.endpoint = acquireEndpoint(address)
	return nil
}

// listen opens the endpoint. An early request may need it before Start.
func (a *App) listen() error {
	if a.endpoint == nil {
		return nil
	}
	return a.endpoint.listen()
}

// permit gives the endpoint's socket this configuration's permissions: it may
// have been opened by an earlier one.
func (a *App) permit() error {
	if a.endpoint == nil {
		return nil
	}
	address, err := a.Endpoint.parse()
	if err != nil || address.network != "unix" {
		return err
	}
	return os.Chmod(address.address, address.mode)
}

func (a *App) loadStore(ctx caddy.Context) (StoreProvider, error) {
	if a.StoreRaw == nil {
		a.StoreRaw = json.RawMessage(`{"engine":"badger"}`)
	}
	mod, err := ctx.LoadModule(a, "StoreRaw")
	if err != nil {
		return nil, fmt.Errorf("loading session store module: %w", err)
	}
	provider, ok := mod.(StoreProvider)
	if !ok {
		return nil, fmt.Errorf("loading session store module: %T is not a session store", mod)
	}
	return provider, nil
}

// Start opens the store and the endpoint and loads the keys, unless an early request has done
// so. An error makes Caddy refuse the configuration.
func (a *App) Start() error {
	if _, _, err := a.backend.Borrow(); err != nil {
		return err
	}
	a.backend.Return()
	if err := a.listen(); err != nil {
		return err
	}
	if err := a.permit(); err != nil {
		return err
	}
	_, err := a.keys.Ring()
	return err
}

// Stop does nothing: requests that are still running need the store. It is
// given back in Cleanup, or by the last of them.
func (a *App) Stop() error { return nil }

// Cleanup gives back what this app acquired.
func (a *App) Cleanup() error {
	if a.endpoint != nil {
		a.released.Do(a.endpoint.release)
	}
	if a.backend == nil {
		return nil
	}
	return a.backend.release()
}

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
	_ session.Backend    = (*backend)(nil)
)
