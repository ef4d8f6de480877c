// Command sessionproxy is Caddy with the session module in it, and a demo.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/sessionproxy/sessionproxy/caddymodule"
	_ "github.com/sessionproxy/sessionproxy/caddymodule/stores/redis"
)

// description is what the help begins with.
const description = `sessionproxy gives web apps in any language their sessions: it is the Caddy
web server with the session module built in.

    $ sessionproxy demo                  shows it: two apps behind one proxy
    $ sessionproxy run                   runs the Caddyfile of this directory
    $ sessionproxy validate              checks it without running it
    $ sessionproxy reload                applies it to the server that runs
    $ sessionproxy sessions ls           lists the sessions of the server that runs
    $ sessionproxy sessions doctor       checks the server, the store and the apps

A Caddyfile of two lines in a site is enough:

    http://localhost:8080 {
        session
        reverse_proxy 127.0.0.1:3000
    }

All of Caddy's commands are here too; https://caddyserver.com/docs describes
them, and its Caddyfile. What the session adds is in README.md and
the pages of docs.`

func main() {
	if reason := refusal(os.Args); reason != "" {
		fmt.Fprintln(os.Stderr, reason)
		os.Exit(1)
	}
	caddy.CustomBinaryName = "sessionproxy" // in its help
	caddy.CustomLongDescription = description
	caddy.CustomVersion = "sessionproxy " + version(debug.ReadBuildInfo()) + ", caddy"
	caddycmd.Main()
}

// refusal tells why a command line is not run. Caddy's commands that exchange
// the binary ask Caddy's own server for another one.
func refusal(args []string) string {
	if len(args) < 2 {
		return ""
	}
	switch args[1] {
	case "upgrade", "add-package", "remove-package":
		return fmt.Sprintf("Error: %s would replace this binary by a build of Caddy's server, which has no sessionproxy in it; build another one: `go install github.com/sessionproxy/sessionproxy/cmd/sessionproxy@latest`, or xcaddy for more modules", args[1])
	}
	return ""
}

// version returns the module's version, as Go has stamped it into the binary.
func version(info *debug.BuildInfo, ok bool) string {
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}
