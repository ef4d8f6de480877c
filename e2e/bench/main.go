// Command bench measures sessionproxy against bare reverse_proxy: the same
// binary, the same upstream, the same load, in alternated rounds of one run.
// Upstream and load generator are processes of their own, so that the
// processor time of the proxy is that of the proxy alone. It needs Linux,
// whose /proc it reads, and the go command.
//
//	go run -C e2e ./bench            # about ten minutes
//	go run -C e2e ./bench -short     # about a minute
//	go run -C e2e ./bench -json FILE # the figures of every round besides
//	go run -C e2e ./bench -base REF  # against the proxy of a commit, instead of bare Caddy
//	go run -C e2e ./bench -trials    # a million sessions, a sweep, and 30 minutes of churn: 45 minutes
//
// It fails when an update was lost, when a request failed, when something
// grows that must not, or when a ratio is far below what is acceptable.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

// Roles that the program takes when it starts itself.
const (
	roleUpstream = "upstream"
	roleLoad     = "load"
)

// settings are what the flags say.
type settings struct {
	Rounds   int           `json:"rounds"`
	Duration time.Duration `json:"round_duration"` // of one side of a round
	Soak     int           `json:"soak_requests"`
	Many     int           `json:"many_sessions"` // sessions whose memory is measured
	Large    int           `json:"large_store"`
	Expiring int           `json:"expiring_sessions"`
	Churn    time.Duration `json:"churn"`
	only     string
}

const (
	connections = 32
	sessions    = 2048
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case roleUpstream:
			return serveUpstream(ctx, in, out)
		case roleLoad:
			return serveLoad(in, out)
		}
	}
	set := settings{Rounds: 9, Duration: 3 * time.Second, Soak: 500_000, Many: 100_000}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	short := flags.Bool("short", false, "a quick look: 3 rounds of a second, a small soak, small trials")
	file := flags.String("json", "", "write the figures of every round to this `file`")
	flags.IntVar(&set.Rounds, "rounds", set.Rounds, "rounds of each workload")
	flags.DurationVar(&set.Duration, "time", set.Duration, "time of one side of a round")
	flags.IntVar(&set.Soak, "soak", set.Soak, "requests of the soak; 0 leaves it out")
	flags.IntVar(&set.Many, "sessions", set.Many, "sessions whose memory is measured; 0 leaves it out")
	long := flags.Bool("trials", false, "long runs of one proxy each, instead of the workloads")
	flags.IntVar(&set.Large, "large", 1_000_000, "sessions of the large store, in -trials")
	flags.IntVar(&set.Expiring, "expiring", 100_000, "sessions that expire at once, in -trials")
	flags.DurationVar(&set.Churn, "churn", 30*time.Minute, "how long sessions come and go, in -trials")
	base := flags.String("base", "", "measure against the proxy of this commit (`ref`) instead of bare Caddy")
	flags.StringVar(&set.only, "only", "", "only the workloads, or trials, whose name contains this")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *short {
		set.Rounds, set.Duration, set.Soak, set.Many = 3, time.Second, 40_000, 10_000
		set.Large, set.Expiring, set.Churn = 50_000, 10_000, 2*time.Minute
	}
	if *long && *base != "" {
		return errors.New("-trials and -base do not go together: the long runs have no base")
	}
	f, err := newFleet(ctx)
	if err != nil {
		return err
	}
	defer f.close()
	var rep *report
	switch {
	case *base != "":
		rep, err = compare(ctx, f, set, *base, out)
	case *long:
		rep = newReport(set)
		rep.Trials, err = runTrials(f, set, out)
	default:
		rep, err = measure(ctx, f, set, out)
	}
	if err != nil {
		return err
	}
	rep.print(out)
	if *file != "" {
		if err := rep.write(*file); err != nil {
			return err
		}
	}
	return rep.failure()
}

// measure runs everything that the settings ask for.
func measure(ctx context.Context, f *fleet, set settings, progress io.Writer) (*report, error) {
	if err := f.startProxies(); err != nil {
		return nil, err
	}
	rep := newReport(set)
	for _, w := range workloads(f, set) {
		fmt.Fprintf(progress, "# %s\n", w.name)
		res, err := w.run(set.Rounds)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", w.name, err)
		}
		rep.Workloads = append(rep.Workloads, res)
	}
	if strings.Contains("jar", set.only) {
		var err error
		if rep.Jar, err = weighJars(ctx, f, progress); err != nil {
			return nil, fmt.Errorf("weighing cookie jars: %w", err)
		}
	}
	if set.only != "" {
		return rep, nil
	}
	if set.Soak > 0 {
		fmt.Fprintf(progress, "# soak, %d requests\n", set.Soak)
		samples, err := soak(ctx, f.async, set.Soak)
		if err != nil {
			return nil, fmt.Errorf("soaking: %w", err)
		}
		rep.Soak = samples
	}
	if set.Many > 0 {
		fmt.Fprintf(progress, "# %d sessions in one store\n", set.Many)
		samples, err := many(ctx, f, set.Many)
		if err != nil {
			return nil, fmt.Errorf("storing many sessions: %w", err)
		}
		rep.Many = samples
		fmt.Fprintf(progress, "# %d parked requests\n", parkedRequests)
		if rep.Parked, err = weigh(ctx, f); err != nil {
			return nil, err
		}
	}
	return rep, nil
}
