package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// program is the server that the tests run on: Debian's package redis-server has it.
const program = "redis-server"

// shared is the server of all tests that need none of their own.
var shared *server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if _, err := exec.LookPath(program); err == nil {
		dir, err := os.MkdirTemp("", "redisstore")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if shared, err = startServer(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer shared.stop()
	}
	return m.Run()
}

// address returns that of the shared server. Without the program the test is
// left out, and fails where all tests have to run.
func address(t *testing.T) string {
	t.Helper()
	if shared == nil {
		need(t)
	}
	return shared.address
}

func need(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
}

// server is a Redis server on this machine, in a directory of its own.
type server struct {
	dir, address string
	command      *exec.Cmd
	ended        chan error
}

// startServer starts one with those options beside the usual ones, and waits until it answers.
func startServer(dir string, options ...string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return nil, err
	}
	s := &server{dir: dir, address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	return s, s.start(options...)
}

func (s *server) start(options ...string) error {
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return err
	}
	args := append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no",
		"--logfile", filepath.Join(s.dir, "log"), "--daemonize", "no"}, options...)
	s.command = exec.Command(program, args...)
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.command.Start(); err != nil {
		return err
	}
	s.ended = make(chan error, 1)
	go func() { s.ended <- s.command.Wait() }()
	return s.answers()
}

// answers waits until the server takes connections.
func (s *server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", s.address)
		if err == nil {
			return c.Close()
		}
		select {
		case err := <-s.ended:
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("%s ended: %w\n%s", program, err, log)
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stop ends the process at once, by its id.
func (s *server) stop() {
	_ = s.command.Process.Kill()
	<-s.ended
}

// own starts a server for one test.
func own(t *testing.T, options ...string) *server {
	t.Helper()
	need(t)
	s, err := startServer(t.TempDir(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// admin returns a client of the server, for what the store does not do itself.
func admin(t *testing.T, address string) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{address}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
