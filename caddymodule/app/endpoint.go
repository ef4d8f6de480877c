package app

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/sessionproxy"
)

// Endpoint is where apps reach the sessions of the requests that they are
// serving.
type Endpoint struct {
	// Disabled closes the endpoint: apps have the headers alone.
	Disabled bool `json:"disabled,omitempty"`

	// Listen is the address: one TCP port of this machine, or a Unix socket
	// such as `unix//run/sessions.sock`, with permissions behind a `|` if
	// others than the proxy's user call: `unix//run/sessions.sock|0660`.
	// Default: `127.0.0.1:2020`.
	Listen string `json:"listen,omitempty"`

	// AllowRemote accepts an address that other machines can reach. A client that can
	// connect needs a capability besides; what is sent is not encrypted.
	AllowRemote bool `json:"allow_remote,omitempty"`
}

const (
	defaultEndpoint = "127.0.0.1:2020"
	socketMode      = fs.FileMode(0o600)
)

// parse checks the address.
func (e *Endpoint) parse() (a runtime.EndpointAddress, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("parsing endpoint address '%s': %w", e.Listen, err)
		}
	}()
	if path, ok := strings.CutPrefix(e.Listen, "unix/"); ok {
		path, mode, hasMode := strings.Cut(path, "|")
		a = runtime.EndpointAddress{Network: "unix", Address: path, Mode: socketMode, URL: "http+unix://" + url.PathEscape(path)}
		if hasMode {
			n, err := strconv.ParseUint(mode, 8, 9)
			if err != nil {
				return a, fmt.Errorf("'%s' are no permissions such as 0660", mode)
			}
			a.Mode = fs.FileMode(n)
		}
		if path == "" || path[0] != '/' {
			return a, errors.New("a Unix socket has an absolute path")
		}
		a.Key = socketKey(path)
		return a, nil
	}
	parsed, err := caddy.ParseNetworkAddress(e.Listen)
	if err != nil {
		return a, err
	}
	if parsed.Network != "tcp" || parsed.PortRangeSize() != 1 || parsed.StartPort == 0 {
		return a, errors.New("it must be one TCP port, or unix//path")
	}
	port := strconv.FormatUint(uint64(parsed.StartPort), 10)
	a = runtime.EndpointAddress{Network: "tcp", Address: net.JoinHostPort(parsed.Host, port)}
	a.Key, a.URL, a.Hosts = portKey(a.Address), "http://"+a.Address, []string{a.Address}
	ip, err := netip.ParseAddr(parsed.Host)
	switch loopback := parsed.Host == "localhost" || err == nil && ip.IsLoopback(); {
	case loopback:
		for _, host := range []string{"127.0.0.1", "::1", "localhost"} {
			a.Hosts = append(a.Hosts, net.JoinHostPort(host, port))
		}
	case parsed.Host == "" || err == nil && ip.IsUnspecified():
		return a, errors.New("give one IP, such as 127.0.0.1:2020, not an empty host or 0.0.0.0")
	case !e.AllowRemote:
		return a, errors.New("other machines can reach it; use a loopback address, or say allow_remote")
	}
	return a, nil
}

// portKey is the address that a listener at a TCP address gets, or the text if
// no app knows: then no listener gets one.
func portKey(address string) string {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return address
	}
	return resolved.String()
}

// socketKey is a socket's path without the links on the way to it.
func socketKey(path string) string {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, filepath.Base(path))
}

func (a *App) provisionEndpoint() error {
	if a.Endpoint == nil {
		a.Endpoint = new(Endpoint)
	}
	if a.Endpoint.Disabled {
		return nil
	}
	cfblock.SetDefault(&a.Endpoint.Listen, defaultEndpoint)
	address, err := a.Endpoint.parse()
	if err != nil {
		return err
	}
	a.address, a.endpoint = address, runtime.AcquireEndpoint(address)
	return nil
}

// Listen opens the endpoint. An early request may need it before Start.
func (a *App) Listen() error {
	if a.endpoint == nil {
		return nil
	}
	a.allowed.Do(func() { a.endpoint.Allow(a.address.Hosts...) })
	return a.endpoint.Listen()
}

// permit gives the endpoint's socket this configuration's permissions: it may
// have been opened by an earlier one.
func (a *App) permit() error {
	if a.endpoint == nil || a.address.Network != "unix" {
		return nil
	}
	return os.Chmod(a.address.Address, a.address.Mode)
}

// OpenEndpoint returns the endpoint under the address that this configuration
// gives it; nil if it is disabled.
func (a *App) OpenEndpoint() *sessionproxy.Endpoint {
	if a.endpoint == nil {
		return nil
	}
	return a.endpoint.At(a.address.URL)
}
