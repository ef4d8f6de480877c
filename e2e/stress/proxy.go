package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxLog is where the log begins anew, in bytes.
const maxLog = 64 << 20

// proxy is the product, as a child that is started again and again.
type proxy struct {
	w      *world
	binary string
	dir    string // of its own
	disk   string // where its store is
	port   int    // of the admin endpoint; the next ones are those of endpoint and sites
	config config
	admin  http.Client

	mu       sync.Mutex
	cmd      *exec.Cmd
	done     chan struct{}
	expected bool // that it ends
	serving  chan struct{}
	tail     []string // of the log
	bad      string   // a line that must not be there
}

// start starts the program, and waits until it serves. Meanwhile an outgoing
// connection may have got one of its ports: then it is tried again.
func (p *proxy) start(ctx context.Context) error {
	for i := 0; ; i++ {
		err := p.startOnce(ctx)
		if err == nil || i == 20 || !strings.Contains(p.lastLines(), "address already in use") {
			return err
		}
		p.mu.Lock()
		p.tail = nil
		p.mu.Unlock()
		p.w.pauseFor(time.Second)
	}
}

func (p *proxy) startOnce(ctx context.Context) error {
	file := filepath.Join(p.dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(p.text()), 0o600); err != nil {
		return err
	}
	cmd := exec.Command(p.binary, "run", "--config", file, "--adapter", "caddyfile") //nolint:noctx // it is killed on purpose alone
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir)
	cmd.SysProcAttr = childAttributes()
	out, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	done, serving := make(chan struct{}), make(chan struct{})
	if err := cmd.Start(); err != nil {
		return err
	}
	p.mu.Lock()
	p.cmd, p.done, p.serving, p.expected = cmd, done, serving, false
	p.mu.Unlock()
	p.w.runs.Add(1)
	go p.watch(cmd, out, done)
	bound := time.NewTimer(p.w.Bound)
	defer bound.Stop()
	select {
	case <-serving:
		return nil
	case <-done:
		return errors.New("the proxy does not start:\n" + p.lastLines())
	case <-bound.C:
		return errors.New("the proxy does not serve in time:\n" + p.lastLines())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// watch reads the log, and notices an end that nothing asked for.
func (p *proxy) watch(cmd *exec.Cmd, out io.Reader, done chan struct{}) {
	p.read(out)
	err := cmd.Wait()
	p.mu.Lock()
	expected := p.expected || p.serving != nil // start says what is wrong
	p.mu.Unlock()
	if !expected {
		p.w.violation(nil, "the proxy ended by itself: %v\n%s", err, p.lastLines())
	}
	close(done)
}

func (p *proxy) read(out io.Reader) {
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err == nil {
		defer log.Close()
	}
	size := 0
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if size += len(line); log != nil {
			_, _ = log.WriteString(line)
			if size > maxLog {
				size = 0
				_ = log.Truncate(0)
			}
		}
		p.line(line)
		if err != nil {
			return
		}
	}
}

func (p *proxy) line(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.serving != nil && strings.Contains(line, "serving initial configuration") {
		close(p.serving)
		p.serving = nil
	}
	for _, word := range []string{"DATA RACE", "panic", "fatal error", "SIGBUS", "SIGSEGV"} {
		if p.bad == "" && strings.Contains(line, word) {
			p.bad = line
			time.AfterFunc(2*time.Second, func() { // the rest of it comes first
				p.w.violation(nil, "the proxy's log has %q:\n%s", word, p.lastLines())
			})
		}
	}
	switch {
	case p.bad == "" && len(p.tail) >= 60:
		p.tail = append(p.tail[1:], line)
	case len(p.tail) < 140: // what follows is the beginning of a trace
		p.tail = append(p.tail, line)
	}
}

func (p *proxy) lastLines() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.tail, "")
}

// end sends the signal after which the program is expected to end, and waits.
func (p *proxy) end(signal syscall.Signal, bound time.Duration) error {
	p.mu.Lock()
	p.expected = true
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if err := cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-done:
		return nil
	case <-time.After(bound):
		_ = cmd.Process.Signal(syscall.SIGQUIT) // its goroutines are in the log
		time.Sleep(2 * time.Second)
		_ = cmd.Process.Kill()
		<-done
		return fmt.Errorf("the proxy does not end within %s of %s", bound, signal)
	}
}

func (p *proxy) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// call calls the admin endpoint.
func (p *proxy) call(ctx context.Context, method, path, kind, body string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://127.0.0.1:%d%s", p.port, path), strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	r.Close = true // a reload ends the connections of the endpoint before it
	resp, err := p.admin.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}
