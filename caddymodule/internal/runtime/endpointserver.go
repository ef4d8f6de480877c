package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
)

// EndpointAddress is a configured address, understood.
type EndpointAddress struct {
	Network, Address string
	Key              string // the same for every spelling of one address
	Mode             fs.FileMode
	URL              string
	Hosts            []string // valid values of Host; none on a Unix socket
}

const (
	readTimeout = 30 * time.Second
	idleTimeout = 2 * time.Minute
	maxHeader   = 16 << 10
)

// EndpointServer is one listener of the process. It belongs to all
// configurations that name its address, however they spell it, one after the
// other, and to the requests that still have a capability: it closes after the
// last of them.
type EndpointServer struct {
	EndpointAddress
	endpoint  *sessionproxy.Endpoint
	listening atomic.Bool

	// Protected by the mutex of process.endpoints.
	refs   int
	server *http.Server
}

// AcquireEndpoint takes a reference to the endpoint at an address. It opens
// no listener.
func AcquireEndpoint(a EndpointAddress) *EndpointServer {
	process.endpoints.mu.Lock()
	defer process.endpoints.mu.Unlock()
	s := process.endpoints.byKey[a.Key]
	if s == nil {
		s = &EndpointServer{EndpointAddress: a}
		s.endpoint = sessionproxy.NewEndpoint(sessionproxy.EndpointConfig{URL: a.URL, Hosts: a.Hosts, Metrics: process.metrics, Idle: func() { go s.closeIfIdle() }})
		process.endpoints.byKey[a.Key] = s
	}
	s.refs++
	return s
}

// Listen opens the listener, unless it is open. It shares no port with
// another process: each would get half of the other's calls.
func (s *EndpointServer) Listen() error {
	if s.listening.Load() {
		return nil
	}
	process.endpoints.mu.Lock()
	defer process.endpoints.mu.Unlock()
	if s.listening.Load() {
		return nil
	}
	if process.endpoints.byKey[s.Key] == nil { // an old configuration's last request begins late
		process.endpoints.byKey[s.Key] = s
	}
	l, err := s.bind()
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listening on session endpoint %s: %w: if a proxy runs already, stop that one or use its `reload`; beside another program set another address by `endpoint <address>` in the sessions option", s.Address, err)
	}
	if err != nil {
		return fmt.Errorf("listening on session endpoint %s: %w; set another one by `endpoint <address>` in the sessions option, or `endpoint off`", s.Address, err)
	}
	s.server = &http.Server{
		Handler: s.endpoint, ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: zap.NewStdLog(zap.NewNop()),
	}
	server := s.server
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			liveLogger(AppID).Error("session endpoint has failed", zap.String("address", s.Address), zap.Error(err))
		}
	}()
	s.listening.Store(true)
	return nil
}

// Allow accepts these Host headers besides those that are accepted already.
func (s *EndpointServer) Allow(hosts ...string) { s.endpoint.Allow(hosts...) }

// At returns the endpoint as a configuration spells its address.
func (s *EndpointServer) At(url string) *sessionproxy.Endpoint { return s.endpoint.WithURL(url) }

func (s *EndpointServer) bind() (net.Listener, error) {
	var config net.ListenConfig // Caddy's own would share the port
	if s.Network == "unix" {
		if err := removeStale(s.Address); err != nil {
			return nil, err
		}
	}
	l, err := config.Listen(context.Background(), s.Network, s.Address)
	if err != nil || s.Network != "unix" {
		return l, err
	}
	if err := os.Chmod(s.Address, s.Mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// removeStale removes the socket of a process that has died. One that
// another process answers on is in use.
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

// Release gives back one reference.
func (s *EndpointServer) Release() {
	process.endpoints.mu.Lock()
	s.refs--
	process.endpoints.mu.Unlock()
	s.closeIfIdle()
}

// closeIfIdle closes the listener when no configuration and no request needs it.
func (s *EndpointServer) closeIfIdle() {
	process.endpoints.mu.Lock()
	defer process.endpoints.mu.Unlock()
	if s.refs > 0 || s.endpoint.Len() > 0 || process.endpoints.byKey[s.Key] != s {
		return
	}
	delete(process.endpoints.byKey, s.Key)
	if s.server != nil {
		_ = s.server.Close() // no app has a capability any more
		s.listening.Store(false)
	}
}
