// Command stress runs the product, built with the race detector, under load
// for a long time, and does to it what goes wrong in practice: kill -9,
// orderly stops, reloads, a full disk, no descriptors left, a directory that
// has gone. A model of every session says what its data may be. Everything
// stays on loopback; app and webhook receiver are in this process.
//
//	go run -C e2e ./stress -duration 2h
//	go run -C e2e ./stress -duration 10m -seed 7 -phases kill,reload
//	go run -C e2e ./stress -duration 10m -skip disk,lostlogin
//
// It fails when an acknowledged write is lost, a sum is off, a ticket is good
// that must not be, a session is seen by another manager, a webhook of an end
// does not come, a stream outlives its session, the proxy ends by itself, has
// a data race or a panic, takes too much memory, or does not recover in time.
// The same seed does the same things, but not at the same moments.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sessionproxy/sessionproxy/e2e/internal/product"
)

// errViolation is that something was seen that must not be.
var errViolation = errors.New("violation")

// settings are what the flags say.
type settings struct {
	Duration      time.Duration
	Seed          uint64
	Dir           string
	Binary        string
	Rate          int
	Browsers      int
	Port          int
	Pause         time.Duration
	Bound         time.Duration
	Interval      time.Duration
	Disk          int
	MaxRSS        int
	MaxGoroutines int
	Phases, Skip  string
	Verbose       bool
	Keep          bool

	http      *http.Client
	lastPhase time.Time
	noDisk    error // why no disk can be filled
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "stress:", err)
		stop()
		os.Exit(1)
	}
}

func parse(args []string) (s settings, err error) {
	f := flag.NewFlagSet("stress", flag.ContinueOnError)
	f.DurationVar(&s.Duration, "duration", 2*time.Hour, "how long")
	f.Uint64Var(&s.Seed, "seed", uint64(time.Now().UnixNano()), "of what is random")
	f.StringVar(&s.Dir, "dir", "", "where to work; default: a temporary directory, which stays if something is wrong")
	f.StringVar(&s.Binary, "binary", "", "the proxy; default: it is built with -race")
	f.IntVar(&s.Rate, "rate", 150, "requests a second")
	f.IntVar(&s.Browsers, "browsers", 40, "visitors at once")
	f.IntVar(&s.Port, "port", 18100, "from where on to look for ten free ports; best below those of outgoing connections")
	f.DurationVar(&s.Pause, "pause", 20*time.Second, "between two disturbances, on average")
	f.DurationVar(&s.Bound, "bound", 90*time.Second, "for recovery from a disturbance")
	f.DurationVar(&s.Interval, "interval", time.Minute, "between two lines of status")
	f.IntVar(&s.Disk, "disk", 2048, "MiB of the disk that gets full")
	f.IntVar(&s.MaxRSS, "max-rss", 3000, "MiB of memory that the proxy may take; the race detector takes most of it")
	f.IntVar(&s.MaxGoroutines, "max-goroutines", 3000, "that the proxy may have")
	f.StringVar(&s.Phases, "phases", "all", "the disturbances, with commas, or none: "+names())
	f.StringVar(&s.Skip, "skip", "", "disturbances and acts of visitors to leave out, with commas")
	f.BoolVar(&s.Verbose, "v", false, "print each disturbance")
	f.BoolVar(&s.Keep, "keep", false, "keep the directory")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 || s.Rate < 1 || s.Browsers < 1 || s.Pause <= 0 || s.Interval <= 0 {
		return s, fmt.Errorf("reading flags: a number is out of range, or %q is too much", f.Args())
	}
	known := strings.Split("all,none,"+names(), ",")
	for _, a := range acts {
		known = append(known, a.name)
	}
	for name := range strings.SplitSeq(strings.Trim(s.Phases+","+s.Skip, ","), ",") {
		if !slices.Contains(known, name) {
			return s, fmt.Errorf("reading flags: %q is neither a disturbance nor an act: %s", name, strings.Join(known, ","))
		}
	}
	return s, nil
}

func names() string {
	var all []string
	for _, p := range phases {
		all = append(all, p.name)
	}
	return strings.Join(all, ",")
}

func (s *settings) wanted(phase string) bool {
	return (s.Phases == "all" || slices.Contains(strings.Split(s.Phases, ","), phase)) && !s.skipped(phase)
}

func (s *settings) skipped(name string) bool {
	return slices.Contains(strings.Split(s.Skip, ","), name)
}

func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	temporary := s.Dir == ""
	if temporary {
		if s.Dir, err = os.MkdirTemp("", "stress"); err != nil {
			return err
		}
	}
	if s.Dir, err = filepath.Abs(s.Dir); err == nil {
		err = os.MkdirAll(s.Dir, 0o700)
	}
	if s.Binary != "" && err == nil {
		s.Binary, err = filepath.Abs(s.Binary)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "stress: seed %d, %s, in %s\n", s.Seed, s.Duration, s.Dir)
	err = newWorld(ctx, s).run(out)
	if temporary && !s.Keep && err == nil {
		_ = os.RemoveAll(s.Dir)
	}
	return err
}

func newWorld(ctx context.Context, s settings) *world {
	w := &world{settings: s, tokens: make(chan struct{}, 1), hooks: newHooks()}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	return w
}

// run does it all, and returns what is wrong.
func (w *world) run(out io.Writer) error {
	began := time.Now()
	if w.Binary == "" {
		w.Binary = filepath.Join(w.Dir, "sessionproxy")
		if err := product.Build(w.ctx, w.Binary, "-race"); err != nil {
			return err
		}
	}
	disk := filepath.Join(w.Dir, "disk")
	unmount := func() {}
	if w.wanted("disk") {
		if u, err := mountDisk(disk, w.Disk); err == nil {
			unmount = u
		} else {
			w.noDisk = err
			fmt.Fprintln(out, "stress: no disk will be full:", err)
		}
	}
	defer func() { unmount() }()
	if err := os.MkdirAll(disk, 0o700); err != nil {
		return err
	}
	var err error
	if w.app, err = startApp(w.ctx, w.hooks); err != nil {
		return err
	}
	defer w.app.server.Close()
	port, err := freePorts(w.ctx, w.Port)
	if err != nil {
		return err
	}
	w.proxy = &proxy{w: w, binary: w.Binary, dir: w.Dir, disk: disk, port: port, config: config{durability: "sync", idle: 24, sweep: 2}}
	if err := w.proxy.start(w.ctx); err != nil {
		return err
	}
	defer func() { _ = w.proxy.end(syscall.SIGKILL, 10*time.Second) }()
	w.load(out)
	err = context.Cause(w.ctx)
	w.summary(out, time.Since(began))
	if errors.Is(err, errDone) {
		fmt.Fprintln(out, "stress: nothing is wrong")
		return nil
	}
	return err
}

// errDone ends a run in which nothing was wrong.
var errDone = errors.New("done")

// load runs visitors, writers and disturbances until the time is up, and then
// waits for the webhooks that are missing.
func (w *world) load(out io.Writer) {
	began := time.Now()
	w.calmSince.Store(began.UnixMilli())
	w.lastPhase = began.Add(w.Duration)
	var helpers, all sync.WaitGroup
	helpers.Go(w.handOut)
	helpers.Go(func() { w.report(out, began) })
	for i := range w.Browsers {
		b := &browser{w: w, r: w.seeded(uint64(100 + i)), ticket: ticket{manager: managers[i%4].name}}
		all.Go(b.run)
	}
	for _, m := range managers[:4] {
		s := newShared(w, m)
		all.Go(s.open)
		for n := range writersPerSession {
			all.Go(func() { s.write(n) })
		}
	}
	w.disturb()
	w.drain()
	w.cancel(errDone)
	all.Wait()
	helpers.Wait()
}

// drain waits for the webhooks of the sessions that ended before the end.
func (w *world) drain() {
	if !w.pauseFor(time.Until(w.lastPhase)) {
		return
	}
	end := time.Now()
	for w.pauseFor(time.Second) {
		n, id, since := w.hooks.open()
		if n == 0 || since.After(end) {
			return
		}
		if time.Since(end) > w.Bound {
			w.violation(nil, "%d webhooks of ended sessions are missing, the first of %s, which ended %s ago", n, id, time.Since(since))
		}
	}
}
