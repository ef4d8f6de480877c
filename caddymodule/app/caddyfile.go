package app

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
)

func init() {
	httpcaddyfile.RegisterGlobalOption(runtime.AppID, parseApp)
}

// parseApp reads the global option:
//
//	sessions {
//		store badger [<dir>] {
//			durability sync|async
//			encryption_key <key>
//			compression none|zstd
//			reserve <size>
//		}
//		ticket_key <key>...
//		endpoint off|<address> {
//			allow_remote
//		}
//		sweep_interval <duration>
//		audit
//		admin_data on|off
//	}
func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	d.Next() // the option's name
	if existing != nil {
		return nil, d.Errf("the global option '%s' is given twice", runtime.AppID)
	}
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	b := cfblock.NewBlock(d, runtime.AppID)
	b.Words = map[string]func() error{
		"store":      func() error { return app.parseStore(d) },
		"ticket_key": func() error { return parseKeys(d, &app.TicketKeys) },
		"endpoint":   func() error { return app.parseEndpoint(d) },
		"sweep_interval": func() error {
			return cfblock.Duration(d, &app.SweepInterval, leastSweepInterval)
		},
		"audit":      func() error { return cfblock.NoArgs(d, &app.Audit) },
		"admin_data": func() error { return cfblock.OnOff(d, &app.AdminData) },
	}
	if err := b.Parse(); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: runtime.AppID, Value: caddyconfig.JSON(app, nil)}, nil
}

func (a *App) parseStore(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	if _, err := caddy.GetModule(runtime.StoreNamespace + "." + name); err != nil {
		return d.WrapErr(errNoStore(name))
	}
	mod, err := caddyfile.UnmarshalModule(d, runtime.StoreNamespace+"."+name)
	if err != nil {
		return err
	}
	if _, ok := mod.(runtime.StoreProvider); !ok {
		return d.Errf("module %s.%s is not a session store", runtime.StoreNamespace, name)
	}
	a.StoreRaw = caddyconfig.JSONModuleObject(mod, "engine", name, nil)
	return nil
}

// errNoStore refuses a store that is not built in. A directory in its place
// is the most likely mistake.
func errNoStore(name string) error {
	var builtIn []string
	for _, m := range caddy.GetModules(runtime.StoreNamespace) {
		builtIn = append(builtIn, m.ID.Name())
	}
	if strings.ContainsAny(name, "/\\.~{") {
		return fmt.Errorf("store takes the name of a store before its directory: `store badger %s`", name)
	}
	return fmt.Errorf("there is no store '%s' in this binary; built in: %s, as in `store badger <dir>`", name, strings.Join(builtIn, ", "))
}

func (a *App) parseEndpoint(d *caddyfile.Dispenser) error {
	a.Endpoint = new(Endpoint)
	if err := cfblock.OneArg(d, &a.Endpoint.Listen); err != nil {
		return err
	}
	b := cfblock.NewBlock(d, "endpoint")
	if a.Endpoint.Listen == "off" {
		*a.Endpoint = Endpoint{Disabled: true}
		return b.Parse() // which has no words
	}
	b.Words = map[string]func() error{
		"allow_remote": func() error { return cfblock.NoArgs(d, &a.Endpoint.AllowRemote) },
	}
	if err := b.Parse(); err != nil {
		return err
	}
	if _, err := a.Endpoint.parse(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func parseKeys(d *caddyfile.Dispenser, keys *[]string) error {
	if *keys = d.RemainingArgs(); len(*keys) == 0 {
		return d.ArgErr()
	}
	return nil
}
