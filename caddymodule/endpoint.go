package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

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

	// AllowRemote accepts an address that other machines can reach. Who can
	// connect needs a capability besides; what is sent is not encrypted.
	AllowRemote bool `json:"allow_remote,omitempty"`
}

const (
	defaultEndpoint = "127.0.0.1:2020"
	socketMode      = fs.FileMode(0o600)
	readTimeout     = 30 * time.Second
	idleTimeout     = 2 * time.Minute
	maxHeader       = 16 << 10
)

// endpointAddress is a configured address, understood.
type endpointAddress struct {
	network, address string
	key              string // the same for every spelling of one address
	mode             fs.FileMode
	url              string
	hosts            []string // valid values of Host; none on a Unix socket
}

// parse checks the address.
func (e *Endpoint) parse() (a endpointAddress, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("parsing endpoint address '%s': %w", e.Listen, err)
		}
	}()
	if path, ok := strings.CutPrefix(e.Listen, "unix/"); ok {
		path, mode, hasMode := strings.Cut(path, "|")
		a = endpointAddress{network: "unix", address: path, mode: socketMode, url: "http+unix://" + url.PathEscape(path)}
		if hasMode {
			n, err := strconv.ParseUint(mode, 8, 9)
			if err != nil {
				return a, fmt.Errorf("'%s' are no permissions such as 0660", mode)
			}
			a.mode = fs.FileMode(n)
		}
		if path == "" || path[0] != '/' {
			return a, errors.New("a Unix socket has an absolute path")
		}
		a.key = socketKey(path)
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
	a = endpointAddress{network: "tcp", address: net.JoinHostPort(parsed.Host, port)}
	a.key, a.url, a.hosts = portKey(a.address), "http://"+a.address, []string{a.address}
	ip, err := netip.ParseAddr(parsed.Host)
	switch loopback := parsed.Host == "localhost" || err == nil && ip.IsLoopback(); {
	case loopback:
		for _, host := range []string{"127.0.0.1", "::1", "localhost"} {
			a.hosts = append(a.hosts, net.JoinHostPort(host, port))
		}
	case parsed.Host == "" || err == nil && ip.IsUnspecified():
		return a, errors.New("give one IP, such as 127.0.0.1:2020, not an empty host or 0.0.0.0")
	case !e.AllowRemote:
		return a, errors.New("other machines can reach it; use a loopback address, or say allow_remote")
	}
	return a, nil
}

// portKey is the address that a listener at a TCP address gets, or the text if
// nobody knows: then no listener gets one.
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

// endpointServer is one listener of the process. It belongs to all
// configurations that name its address, however they spell it, one after the
// other, and to the requests that still have a capability: it closes after the
// last of them.
type endpointServer struct {
	endpointAddress
	endpoint  *sessionproxy.Endpoint
	listening atomic.Bool

	// Protected by endpoints.mu.
	refs   int
	server *http.Server
}

// endpoints holds every endpoint of the process, by the key of its address.
var endpoints = struct {
	mu    sync.Mutex
	byKey map[string]*endpointServer
}{byKey: make(map[string]*endpointServer)}

// acquireEndpoint takes a reference to the endpoint at an address. It opens
// no listener.
func acquireEndpoint(a endpointAddress) *endpointServer {
	endpoints.mu.Lock()
	defer endpoints.mu.Unlock()
	s := endpoints.byKey[a.key]
	if s == nil {
		s = &endpointServer{endpointAddress: a}
		s.endpoint = sessionproxy.NewEndpoint(a.url, a.hosts, metrics, func() { go s.closeIfIdle() })
		endpoints.byKey[a.key] = s
	}
	s.refs++
	return s
}

// listen opens the listener, unless it is open. It shares no port with
// another process: each would get half of the other's calls.
func (s *endpointServer) listen() error {
	if s.listening.Load() {
		return nil
	}
	endpoints.mu.Lock()
	defer endpoints.mu.Unlock()
	if s.listening.Load() {
		return nil
	}
	if endpoints.byKey[s.key] == nil { // an old configuration's last request begins late
		endpoints.byKey[s.key] = s
	}
	l, err := s.bind()
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listening on session endpoint %s: %w: if a proxy runs already, stop that one or use its `reload`; beside another program set another address by `endpoint <address>` in the sessions option", s.address, err)
	}
	if err != nil {
		return fmt.Errorf("listening on session endpoint %s: %w; set another one by `endpoint <address>` in the sessions option, or `endpoint off`", s.address, err)
	}
	s.server = &http.Server{
		Handler: s.endpoint, ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: zap.NewStdLog(zap.NewNop()),
	}
	server := s.server
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			liveLogger(appID).Error("session endpoint has failed", zap.String("address", s.address), zap.Error(err))
		}
	}()
	s.listening.Store(true)
	return nil
}

func (s *endpointServer) bind() (net.Listener, error) {
	var config net.ListenConfig // Caddy's own would share the port
	if s.network == "unix" {
		if err := removeStale(s.address); err != nil {
			return nil, err
		}
	}
	l, err := config.Listen(context.Background(), s.network, s.address)
	if err != nil || s.network != "unix" {
		return l, err
	}
	if err := os.Chmod(s.address, s.mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// removeStale removes the socket of a process that has died. One that
// somebody answers on is in use.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return errors.New("the file is no socket")
	}
	conn, err := net.DialTimeout("unix", path, time.Second) //nolint:noctx // bounded
	if err == nil {
		_ = conn.Close()
		return errors.New("another process answers there")
	}
	return os.Remove(path)
}

// release gives back one reference.
func (s *endpointServer) release() {
	endpoints.mu.Lock()
	s.refs--
	endpoints.mu.Unlock()
	s.closeIfIdle()
}

// closeIfIdle closes the listener when no configuration and no request needs it.
func (s *endpointServer) closeIfIdle() {
	endpoints.mu.Lock()
	defer endpoints.mu.Unlock()
	if s.refs > 0 || s.endpoint.Len() > 0 || endpoints.byKey[s.key] != s {
		return
	}
	delete(endpoints.byKey, s.key)
	if s.server != nil {
		_ = s.server.Close() // nobody has a capability any more
		s.listening.Store(false)
	}
}
