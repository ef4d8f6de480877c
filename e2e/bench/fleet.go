package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/sessionproxy/sessionproxy/e2e/internal/product"
)

// fleet is all that runs during a benchmark: the upstream and the proxies.
type fleet struct {
	ctx      context.Context
	dir      string
	binary   string // the proxy
	self     string // this program
	upstream string // its address
	stops    []func()

	bare, bareTwin, async, sync *proxy
	bareRoom, asyncRoom         *proxy // with equal room for garbage
	open, closed                *proxy // as async but only read; with endpoint, and without
	jar                         *jarProxy
	upstreamPID                 int
}

// equalRoom makes Go collect garbage when the heap has a size, and not when
// it has grown by a share of what lives: a larger live heap alone would be
// an advantage.
var equalRoom = []string{"GOGC=off", "GOMEMLIMIT=400MiB"}

// newFleet builds the proxy and starts the upstream; startProxies is what the
// workloads need besides.
func newFleet(ctx context.Context) (*fleet, error) {
	f := &fleet{ctx: ctx}
	if err := f.start(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *fleet) start() (err error) {
	if f.self, err = os.Executable(); err != nil {
		return err
	}
	if f.dir, err = os.MkdirTemp("", "bench"); err != nil { // short: it holds Unix sockets
		return err
	}
	f.binary = filepath.Join(f.dir, "sessionproxy")
	if err := product.Build(f.ctx, f.binary); err != nil {
		return err
	}
	if err := f.startUpstream(); err != nil {
		return fmt.Errorf("starting the upstream: %w", err)
	}
	return nil
}

// startProxies starts the proxies that the workloads compare.
func (f *fleet) startProxies() (err error) {
	for _, p := range []struct {
		to **proxy
		spec
	}{
		{&f.bare, spec{name: "bare"}},
		{&f.bareTwin, spec{name: "bare-twin"}},
		{&f.async, spec{name: "async", durability: "async"}},
		{&f.sync, spec{name: "sync", durability: "sync"}},
		{&f.bareRoom, spec{name: "bare-room", env: equalRoom}},
		{&f.asyncRoom, spec{name: "async-room", durability: "async", env: equalRoom}},
		{&f.open, spec{name: "open", durability: "async"}},
		{&f.closed, spec{name: "closed", durability: "async", noEndpoint: true}},
	} {
		if *p.to, err = f.startProxy(p.spec); err != nil {
			return fmt.Errorf("starting the proxy %q: %w", p.name, err)
		}
	}
	if err := f.startJars(); err != nil {
		return fmt.Errorf("starting the proxy with cookie jars: %w", err)
	}
	return nil
}

func (f *fleet) startUpstream() error {
	cmd := exec.CommandContext(f.ctx, f.self, roleUpstream)
	in, err := cmd.StdinPipe() // its end ends the upstream
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	f.upstreamPID = cmd.Process.Pid
	f.stops = append(f.stops, func() { _ = in.Close(); _ = cmd.Wait() })
	_, err = fmt.Fscanln(out, &f.upstream)
	return err
}

func (f *fleet) startProxy(s spec) (*proxy, error) {
	p, err := newProxy(f, s)
	if err != nil {
		return nil, err
	}
	f.stops = append(f.stops, p.stop)
	if s.durability == "" {
		return p, nil
	}
	if p.cookies, err = p.begin(sessions); err != nil {
		return nil, err
	}
	one, err := p.begin(1)
	if err != nil {
		return nil, err
	}
	p.shared = one[0]
	for site, cookie := range map[string]*string{p.serialized: &p.counter, p.merging: &p.planner} {
		alone, err := f.load(job{Address: site, Path: "/begin", Connections: 1, Requests: 1, Collect: true})
		if err != nil {
			return nil, err
		}
		if len(alone.Cookies) != 1 {
			return nil, errors.New("a site began no session")
		}
		*cookie = alone.Cookies[0]
	}
	return p, nil
}

// close ends what was started.
func (f *fleet) close() {
	for _, stop := range slices.Backward(f.stops) {
		stop()
	}
	if f.dir != "" {
		_ = os.RemoveAll(f.dir)
	}
}
