package handler

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(new(Placeholders))
}

// Placeholders makes the placeholders `{http.session.*}` known to requests that
// no `session` handler gets: their values are empty, and the state is `new`. A
// guard that reads them then takes the request for a stranger's. The Caddyfile
// adapter puts it beside each `session` that has a matcher; in JSON it stands
// before the first matcher or handler that uses a placeholder.
type Placeholders struct{}

// CaddyModule returns the Caddy module information.
func (*Placeholders) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.session_placeholders", New: func() caddy.Module { return new(Placeholders) }}
}

// ServeHTTP makes the placeholders known and passes the request on.
func (*Placeholders) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	infoOf(r)
	return next.ServeHTTP(w, r)
}

// ProvidesPlaceholders tells the checks of routes that it does.
func (*Placeholders) ProvidesPlaceholders() {}

var _ caddyhttp.MiddlewareHandler = (*Placeholders)(nil)
