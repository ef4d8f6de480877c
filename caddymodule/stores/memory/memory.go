package memory

import (
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

func init() {
	caddy.RegisterModule(new(Store))
}

// Store keeps sessions in the memory of the process, for development.
// They survive a reload, and are lost with the process. Nothing bounds their
// number but their timeouts.
type Store struct{}

// CaddyModule returns the Caddy module information.
func (*Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: runtime.StoreNamespace + ".memory", New: func() caddy.Module { return new(Store) }}
}

// PoolKey is the engine: a process has one such store.
func (*Store) PoolKey() string { return "memory" }

// Open returns an empty store.
func (*Store) Open(logger *zap.Logger) (runtime.OpenStore, error) {
	logger.Warn("sessions are kept in memory, for development: they are lost when this process ends; `store badger` keeps them")
	st := memstore.New(time.Now)
	st.NumberFrom(time.Now().UnixMicro())
	return st, nil
}

// CompatibleWith allows every other one: there are no options.
func (*Store) CompatibleWith(other runtime.StoreProvider) error {
	if _, ok := other.(*Store); !ok {
		return errors.New("the session store in memory was opened by another module; restart the server to change it")
	}
	return nil
}

// UnmarshalCaddyfile reads the rest of the line that names the engine, on which
// nothing may follow:
//
//	memory
func (*Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the engine's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return cfblock.NewBlock(d, "memory").Parse()
}

// Interface guards.
var (
	_ runtime.StoreProvider = (*Store)(nil)
	_ caddyfile.Unmarshaler = (*Store)(nil)
)
