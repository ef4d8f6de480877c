package caddymodule

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() {
	httpcaddyfile.RegisterGlobalOption(appID, parseApp)
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
		return nil, d.Errf("the global option '%s' is given twice", appID)
	}
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	b := newBlock(d, appID)
	b.words = map[string]func() error{
		"store":      func() error { return app.parseStore(d) },
		"ticket_key": func() error { return parseKeys(d, &app.TicketKeys) },
		"endpoint":   func() error { return app.parseEndpoint(d) },
		"sweep_interval": func() error {
			return duration(d, &app.SweepInterval, leastSweepInterval)
		},
		"audit":      func() error { return noArgs(d, &app.Audit) },
		"admin_data": func() error { return onOff(d, &app.AdminData) },
	}
	if err := b.parse(); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: appID, Value: caddyconfig.JSON(app, nil)}, nil
}

func (a *App) parseStore(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	if _, err := caddy.GetModule(storeNamespace + "." + name); err != nil {
		return d.WrapErr(errNoStore(name))
	}
	mod, err := caddyfile.UnmarshalModule(d, storeNamespace+"."+name)
	if err != nil {
		return err
	}
	if _, ok := mod.(StoreProvider); !ok {
		return d.Errf("module %s.%s is not a session store", storeNamespace, name)
	}
	a.StoreRaw = caddyconfig.JSONModuleObject(mod, "engine", name, nil)
	return nil
}

// errNoStore refuses a store that is not built in. A directory in its place
// is the most likely mistake.
func errNoStore(name string) error {
	var builtIn []string
	for _, m := range caddy.GetModules(storeNamespace) {
		builtIn = append(builtIn, m.ID.Name())
	}
	if strings.ContainsAny(name, "/\\.~{") {
		return fmt.Errorf("store takes the name of a store before its directory: `store badger %s`", name)
	}
	return fmt.Errorf("there is no store '%s' in this binary; built in: %s, as in `store badger <dir>`", name, strings.Join(builtIn, ", "))
}

func (a *App) parseEndpoint(d *caddyfile.Dispenser) error {
	a.Endpoint = new(Endpoint)
	if err := oneArg(d, &a.Endpoint.Listen); err != nil {
		return err
	}
	b := newBlock(d, "endpoint")
	if a.Endpoint.Listen == "off" {
		*a.Endpoint = Endpoint{Disabled: true}
		return b.parse() // which has no words
	}
	b.words = map[string]func() error{
		"allow_remote": func() error { return noArgs(d, &a.Endpoint.AllowRemote) },
	}
	if err := b.parse(); err != nil {
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

// UnmarshalCaddyfile reads the rest of the line that names the engine:
//
//	badger [<dir>] {
//		durability sync|async
//		encryption_key <key>
//		compression none|zstd
//		reserve <size>
//	}
func (b *BadgerStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the engine's name
	if d.NextArg() {
		b.Dir = d.Val()
		if d.NextArg() {
			return d.ArgErr()
		}
	}
	block := newBlock(d, "badger")
	block.words = map[string]func() error{
		"durability":     func() error { return oneOf(d, &b.Durability, "sync", "async") },
		"encryption_key": func() error { return oneArg(d, &b.EncryptionKey) },
		"compression":    func() error { return oneOf(d, &b.Compression, "none", "zstd") },
		"reserve":        func() error { return size(d, &b.Reserve, 1) },
	}
	return block.parse()
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*BadgerStore)(nil)
