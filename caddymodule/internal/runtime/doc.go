// Package runtime has what outlives a configuration: Caddy makes all modules
// anew at a reload, while requests of the configuration before go on. The open
// stores, the listener of the endpoint, the metrics and the audit belong to the
// process; the variable process holds all of them, and no other package of
// caddymodule has state of the process.
package runtime
