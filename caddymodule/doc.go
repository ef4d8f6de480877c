// Package caddymodule puts sessionproxy into Caddy. Importing it registers all
// of its modules, as `xcaddy build --with` does; it has nothing else. The parts
// are packages of their own, each of which imports only those below it:
//
//	command                        caddy sessions …, a client of the admin API
//	adminapi                       the admin API of operators
//	handler                        http.handlers.session and its Caddyfile directive
//	listeners/webhook, …           what is told of events
//	app                            the sessions app: registry of managers, keys, endpoint
//	stores/badger, stores/memory   the stores that are built in
//	stores/redis                   not imported: a build that wants it does so itself
//	internal/runtime               what outlives a configuration: open stores, metrics, audit
//	internal/cfblock               reading blocks of a Caddyfile
package caddymodule
