// Package app is the Caddy app `sessions`: what all session handlers of a
// configuration share. It loads the store's module, reads the ticket keys, has
// the registry of managers, and checks the routes before the configuration
// starts.
//
// [Listener] and [StoreProvider] are what modules of others implement.
package app
