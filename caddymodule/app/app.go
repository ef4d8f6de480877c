package app

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/sessionproxy/delivery"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
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

	// SweepInterval is how often sessions that have expired are looked for,
	// to remove them and to tell their listeners; at least 1s. No request sees a
	// session that has expired, swept or not. Default: 10s.
	SweepInterval caddy.Duration `json:"sweep_interval,omitempty"`

	// Audit writes a record to the logger `sessions.audit`, at INFO, for
	// each session that begins, gets another ticket or ends, and for what is
	// refused from clients. Default: false.
	Audit bool `json:"audit,omitempty"`

	// AdminData lets Caddy's admin endpoint show the data of a session to
	// that ask for it by `data=true`. A backup holds all data in any case.
	// Default: false.
	AdminData bool `json:"admin_data,omitempty"`

	ctx      caddy.Context
	logger   *zap.Logger
	provider *runtime.Provider
	keys     *keySource
	managers *Registry
	endpoint *runtime.EndpointServer // nil if it is disabled
	address  runtime.EndpointAddress // of the endpoint, as this configuration spells it
	allowed  sync.Once               // its Host headers
	released sync.Once               // the reference to it
	audited  func()                  // ends the use of auditor; nil before Start
	auditor  *zap.Logger
	events   *runtime.Emitter
	unlisten func() // ends the subscriptions and the sweep; nil before Start
}

const defaultSweepInterval, leastSweepInterval = caddy.Duration(delivery.DefaultSweepInterval), caddy.Duration(time.Second)

func checkSweepInterval(d caddy.Duration) error {
	if d < leastSweepInterval {
		return fmt.Errorf("sweep_interval is at least %v, not %v", time.Duration(leastSweepInterval), time.Duration(d))
	}
	return nil
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: runtime.AppID, New: func() caddy.Module { return new(App) }}
}

// Provision loads the store's module and reads the keys of the configuration.
// It opens no database, so that a configuration can be validated beside a
// running server; only one that this process has open already is shared now,
// so that a reload that does not fit it is refused before anything starts.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger, a.auditor = ctx, ctx.Logger(), ctx.Logger(runtime.AuditModule{})
	a.managers = NewRegistry()
	if !runtime.RedactLogs(ctx) {
		runtime.WarnOfCores(a.logger)
	}
	if err := runtime.RegisterMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	keys, err := newKeySource(a.TicketKeys, ctx.Storage(), a.logger)
	if err != nil {
		return err
	}
	a.keys = keys
	cfblock.SetDefault(&a.SweepInterval, defaultSweepInterval)
	if err := checkSweepInterval(a.SweepInterval); err != nil {
		return err
	}
	if a.events, err = runtime.NewEmitter(ctx); err != nil {
		return err
	}
	provider, err := a.loadStore(ctx)
	if err != nil {
		return err
	}
	if err := a.provisionEndpoint(); err != nil {
		return err
	}
	a.provider = runtime.NewProvider(provider, a.managers.subscriptions, a.logger)
	return a.provider.Adopt()
}

func (a *App) loadStore(ctx caddy.Context) (runtime.StoreProvider, error) {
	if a.StoreRaw == nil {
		a.StoreRaw = json.RawMessage(`{"engine":"badger"}`)
	}
	var named struct {
		Engine string `json:"engine"`
	}
	if err := json.Unmarshal(a.StoreRaw, &named); err == nil && named.Engine != "" {
		if _, err := caddy.GetModule(runtime.StoreNamespace + "." + named.Engine); err != nil {
			return nil, fmt.Errorf("loading session store module: %w", errNoStore(named.Engine))
		}
	}
	mod, err := ctx.LoadModule(a, "StoreRaw")
	if err != nil {
		return nil, fmt.Errorf("loading session store module: %w", err)
	}
	provider, ok := mod.(runtime.StoreProvider)
	if !ok {
		return nil, fmt.Errorf("loading session store module: %T is not a session store", mod)
	}
	return provider, nil
}

// Start opens the store and the endpoint and loads the keys, unless an early request has done
// so. An error makes Caddy refuse the configuration.
func (a *App) Start() error {
	db, err := a.provider.Open()
	if err != nil {
		return err
	}
	db.BoundClose(a.gracePeriod())
	if err := a.checkRoutes(); err != nil {
		return err
	}
	a.warnOfSharedPorts()
	if err := a.subscribe(db); err != nil {
		return err
	}
	if err := a.Listen(); err != nil {
		return err
	}
	if err := a.permit(); err != nil {
		return err
	}
	if _, err = a.keys.Ring(); err != nil {
		return err
	}
	a.warnOfVoidTickets(db)
	if a.Audit {
		a.audited = runtime.UseAudit(a.auditor)
	}
	return nil
}

// warnOfVoidTickets warns that a store came without its ticket keys: no visitor can
// enter its sessions any more, and nothing else would say why.
func (a *App) warnOfVoidTickets(db *runtime.PooledStore) {
	if !a.keys.made.Load() {
		return
	}
	counter := db.Node.Features.Counter
	if counter == nil {
		return
	}
	counts, err := counter.Counts(a.ctx)
	if err != nil {
		a.ctx.Logger().Error("counting sessions", zap.Error(err))
		return
	}
	var n int64
	for _, c := range counts {
		n += c.Sessions
	}
	if n > 0 {
		a.ctx.Logger().Warn("the ticket key is new, and the store has sessions: their tickets are void; if the store was moved here, bring "+keysFile+" of the former storage along",
			zap.Int64("sessions", n))
	}
}

// Registry returns the managers of the configuration.
func (a *App) Registry() *Registry { return a.managers }

// Provider returns what lends the store to requests.
func (a *App) Provider() *runtime.Provider { return a.provider }

// Ring returns the keys that sign and verify tickets. The first call may ask
// Caddy's storage for them.
func (a *App) Ring() (*ticket.Ring, error) { return a.keys.Ring() }

// gracePeriod returns Caddy's grace_period, or 0. It is asked for after all
// apps were provisioned: while the http app is, it asks for this one.
func (a *App) gracePeriod() time.Duration {
	if app := a.httpApp(); app != nil {
		return time.Duration(app.GracePeriod)
	}
	return 0
}

// httpApp returns Caddy's http app, or nil.
func (a *App) httpApp() *caddyhttp.App {
	app, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		return nil
	}
	http, _ := app.(*caddyhttp.App)
	return http
}

// Stop does nothing: requests that are still running need the store. It is
// given back in Cleanup, or by the last of them.
func (a *App) Stop() error { return nil }

// Cleanup gives back what this app acquired.
func (a *App) Cleanup() error {
	if a.audited != nil {
		a.audited()
	}
	a.unsubscribe()
	if a.endpoint != nil {
		a.released.Do(a.endpoint.Release)
	}
	if a.provider == nil {
		return nil
	}
	return a.provider.Close()
}

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
	_ session.Provider   = (*runtime.Provider)(nil)
)
