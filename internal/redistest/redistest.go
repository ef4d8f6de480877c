// Package redistest starts Redis servers for tests, on this machine, each in a
// directory and on a port of its own.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is the server: Debian's package redis-server has it.
const program = "redis-server"

// IsHere reports whether the program of the server is installed.
func IsHere() bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// Need leaves the test out if the program is not installed, and has it fail
// where all tests must run.
func Need(t *testing.T) {
	t.Helper()
	switch {
	case IsHere():
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not installed", program)
	default:
		t.Skipf("%s is not installed", program)
	}
}

// Server is a Redis server, without persistence.
type Server struct {
	Dir, Address string
	command      *exec.Cmd
	ended        chan error
}

// New starts a server for one test, with those options beside the usual ones.
func New(t *testing.T, options ...string) *Server {
	t.Helper()
	Need(t)
	s, err := Start(t.TempDir(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// Start starts a server in that directory, and returns once it takes
// connections. {PORT} in an option is its port.
func Start(dir string, options ...string) (*Server, error) {
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	return s, s.Restart(options...)
}

// Restart starts a server that was killed, at the same address.
func (s *Server) Restart(options ...string) error {
	_, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		return err
	}
	args := append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", s.Dir, "--save", "", "--appendonly", "no",
		"--logfile", filepath.Join(s.Dir, "log"), "--daemonize", "no"}, options...)
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "{PORT}", port)
	}
	s.command = exec.CommandContext(context.Background(), program, args...) //nolint:gosec // the options of a test
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.command.Start(); err != nil {
		return err
	}
	s.ended = make(chan error, 1)
	go func(c *exec.Cmd, ended chan<- error) { ended <- c.Wait() }(s.command, s.ended)
	return s.answers()
}

// answers waits until the server takes connections.
func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", s.Address)
		if err == nil {
			return c.Close()
		}
		select {
		case err := <-s.ended:
			log, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
			return fmt.Errorf("%s ended: %w\n%s", program, err, log)
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Signal sends a signal to the process.
func (s *Server) Signal(sig syscall.Signal) error { return s.command.Process.Signal(sig) }

// Kill ends the process at once.
func (s *Server) Kill() {
	if s.command.Process.Kill() == nil {
		<-s.ended
	}
}
