// Command sessionproxy is Caddy with the session module in it, and a demo.
package main

import (
	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/sessionproxy/sessionproxy/caddymodule"
)

func main() {
	caddy.CustomBinaryName = "sessionproxy" // in its help
	caddycmd.Main()
}
