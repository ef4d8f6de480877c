// Package handler is the Caddy handler `session`: it turns a handler's
// configuration into a session manager, serves requests by it, and provides
// the placeholders of the session. The Caddyfile directive `session` is read
// here, too.
package handler
