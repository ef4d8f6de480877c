package app

import "github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"

// StoreProvider is what a guest module in the namespace `sessions.stores`
// implements, beside caddy.Module and, for the Caddyfile, caddyfile.Unmarshaler.
type StoreProvider = runtime.StoreProvider

// OpenStore is what a StoreProvider opens.
type OpenStore = runtime.OpenStore
