package caddytest

import (
	"io"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

func init() {
	caddy.RegisterModule(new(deaf))
	caddy.RegisterModule(new(plainStore))
}

// deaf is a module in the namespace of listeners that is none.
type deaf struct{}

func (*deaf) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "sessions.listeners.deaf", New: func() caddy.Module { return new(deaf) }}
}

func (*deaf) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

// plainStore is a store of tests that can do nothing but what every store can.
type plainStore struct{}

func (*plainStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: runtime.StoreNamespace + ".plain", New: func() caddy.Module { return new(plainStore) }}
}

func (*plainStore) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (*plainStore) PoolKey() string                            { return "plain" }
func (*plainStore) CompatibleWith(runtime.StoreProvider) error { return nil }

func (*plainStore) Open(*zap.Logger) (runtime.OpenStore, error) {
	m := memstore.New(time.Now)
	return struct {
		store.Store
		io.Closer
	}{m, m}, nil
}
