package product

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Process is a program that was started, in a process group of its own, with
// its output.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	mu   sync.Mutex
	out  bytes.Buffer
}

// Start starts a program with these variables besides those of this process.
func Start(env []string, dir, name string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.CommandContext(context.Background(), name, args...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	return p, nil
}

// Write takes what the program prints.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

// Output returns what the program has printed so far.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// Done is closed once the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// ExitCode returns the status of a program that has ended.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Signal sends the program, and not its children, a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Kill is kill -9 of the program and its children.
func (p *Process) Kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// Stop asks the program to end, and waits until it has.
func (p *Process) Stop() error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("it does not end")
	}
}

// Await tries again until a condition holds, the program has ended, if there is
// one, or the time is up.
func Await(what string, p *Process, limit time.Duration, condition func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(limit)
	var ended <-chan struct{}
	if p != nil {
		ended = p.done
	}
	for !condition() {
		select {
		case <-tick.C:
		case <-ended:
			return fmt.Errorf("waiting until %s: it ended:\n%s", what, p.Output())
		case <-deadline:
			return fmt.Errorf("waiting until %s: time is up", what)
		}
	}
	return nil
}

// Listens reports whether a connection to an address can be made.
func Listens(network, address string) bool {
	conn, err := (&net.Dialer{}).DialContext(context.Background(), network, address)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// lastPort is below those that the kernel gives to outgoing connections:
// otherwise one of these could have the port before the test's program has it.
var lastPort atomic.Int32

func init() { lastPort.Store(20000 + rand.Int32N(8000)) }

// FreePort returns a port of 127.0.0.1 that was free just now, and no port twice.
func FreePort() (int, error) {
	for range 1000 {
		port := int(lastPort.Add(1))
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no port is free")
}

// Find returns the path of a program: the first of these names or patterns that
// can be run.
func Find(names ...string) (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		matches, _ := filepath.Glob(name)
		for _, candidate := range matches {
			if path, err := exec.LookPath(candidate); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%s is missing; `make test-deps` installs it", names[0])
}
