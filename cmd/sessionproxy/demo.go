package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "demo",
		Usage: "[--listen <address>] [--dir <directory>] [--print-config]",
		Short: "Shows two apps behind one proxy, isolated from each other in one browser",
		Long: `
Starts the proxy with an embedded store and two small apps behind it: a guest
book and a shopping cart. Neither app has a session library, a database or a
cookie: they read the header Session-Data and answer with Session-Patch.

Sessions are kept in the directory, and are still there at the next start.
`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Flags().String("listen", "127.0.0.1:8080", "The address of the proxy")
			cmd.Flags().String("dir", filepath.Join(caddy.AppDataDir(), "sessionproxy-demo"), "Where sessions are kept")
			cmd.Flags().Bool("print-config", false, "Prints the demo's Caddyfile and ends")
			cmd.RunE = caddycmd.WrapCommandFuncForCobra(runDemo)
		},
	})
}

// demoSite is what one demo runs.
type demoSite struct {
	Listen, Dir            string
	Index, Guestbook, Cart string // addresses of the apps
	Admin                  string // of the operator's commands
}

// pasteable is the configuration for apps of one's own, on the ports of the README.
func (d demoSite) pasteable() string {
	return fmt.Sprintf(`http://%s {
	handle_path /guestbook/* {
		session guestbook
		reverse_proxy 127.0.0.1:3001
	}
	handle_path /cart/* {
		session cart
		reverse_proxy 127.0.0.1:3002
	}
	handle {
		session off
		reverse_proxy 127.0.0.1:3000
	}
}
`, d.Listen)
}

// caddyfile is the configuration that the demo runs.
func (d demoSite) caddyfile() string {
	host, port, _ := net.SplitHostPort(d.Listen) // checked by free
	return fmt.Sprintf(`{
	admin %s
	persist_config off
	auto_https off
	log {
		level ERROR
	}
	sessions {
		store badger %q
		endpoint off
		admin_data on
	}
}

http://:%s {
	bind %s
	handle_path /guestbook/* {
		session guestbook
		reverse_proxy %s
	}
	handle_path /cart/* {
		session cart
		reverse_proxy %s
	}
	handle {
		session off
		reverse_proxy %s
	}
}
`, d.Admin, filepath.Join(d.Dir, "sessions"), port, host, d.Guestbook, d.Cart, d.Index)
}

func runDemo(flags caddycmd.Flags) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := filepath.Abs(flags.String("dir"))
	if err != nil {
		return caddy.ExitCodeFailedStartup, fmt.Errorf("finding the demo's directory: %w", err)
	}
	site := demoSite{Listen: flags.String("listen"), Dir: dir}
	if flags.Bool("print-config") {
		fmt.Print(site.pasteable())
		return caddy.ExitCodeSuccess, nil
	}
	if err := site.run(ctx); err != nil {
		// Caddy would log it as a line of JSON; the rest of the demo is prose.
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(caddy.ExitCodeFailedStartup)
	}
	return caddy.ExitCodeSuccess, nil
}

// run serves until the context ends.
func (d demoSite) run(ctx context.Context) error {
	if err := d.free(ctx); err != nil {
		return err
	}
	for _, app := range []struct {
		address *string
		handler http.Handler
	}{
		{&d.Guestbook, newGuestbook()},
		{&d.Cart, newCart()},
		{&d.Index, indexPage(d.pasteable(), func() string { return d.Admin })},
	} {
		server, address, err := serveApp(ctx, app.handler)
		if err != nil {
			return err
		}
		defer server.Close()
		*app.address = address
	}
	var err error
	if d.Admin, err = freeLoopback(ctx); err != nil {
		return err
	}
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(d.caddyfile()), map[string]any{"filename": "demo"})
	if err != nil {
		return fmt.Errorf("reading the demo's Caddyfile: %w", err)
	}
	for _, w := range warnings {
		fmt.Fprintln(os.Stderr, "demo:", w.Message)
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("starting the demo: %w", err)
	}
	fmt.Printf(`
  sessionproxy demo

  Look here:     http://%[1]s/
    guest book   http://%[1]s/guestbook/
    cart         http://%[1]s/cart/

  Two apps, one browser: each has a session, and neither sees the other's.
  Sign the book, fill the cart, stop the demo and start it again: all is
  still there. Sign out of one: the other does not notice.

  Look behind the curtain, in another terminal:
    sessionproxy sessions top --address %[3]s
    sessionproxy sessions ls guestbook --address %[3]s

  Sessions are kept in %[2]s
  Stop with Ctrl-C.

`, d.Listen, d.Dir, d.Admin)
	<-ctx.Done()
	fmt.Println("stopping")
	if err := caddy.Stop(); err != nil {
		return fmt.Errorf("stopping the demo: %w", err)
	}
	return nil
}

// free makes sure that the address can be had: two servers may bind one port
// without noticing, and would take turns.
func (d demoSite) free(ctx context.Context) error {
	if host, port, err := net.SplitHostPort(d.Listen); err != nil || host == "" || port == "" {
		return fmt.Errorf("starting the demo: --listen takes a host and a port, such as 127.0.0.1:8080, not %q", d.Listen)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", d.Listen)
	if err != nil {
		return fmt.Errorf("starting the demo: %w; choose another address with --listen 127.0.0.1:8081, or stop the process that uses this one", err)
	}
	return listener.Close()
}

// freeLoopback returns an address for the operator's commands.
func freeLoopback(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("starting the demo's admin endpoint: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// serveApp serves a sample app on a loopback address of its own.
func serveApp(ctx context.Context, handler http.Handler) (*http.Server, string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("starting a sample app: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "demo: sample app:", err)
		}
	}()
	return server, listener.Addr().String(), nil
}
