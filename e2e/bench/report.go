package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// report is all that was measured.
type report struct {
	Time      time.Time `json:"time"`
	Go        string    `json:"go"`
	CPUs      int       `json:"cpus"`
	Settings  settings  `json:"settings"`
	Workloads []result  `json:"workloads"`
	Soak      []sample  `json:"soak,omitempty"`
	Many      []sample  `json:"many_sessions,omitempty"`
	Parked    *parked   `json:"parked,omitempty"`
	Trials    []*trial  `json:"trials,omitempty"`
	Compared  string    `json:"compared,omitempty"` // the commit that is the base of all workloads

	Jar *jarFigures `json:"jar,omitempty"`
}

// result is what the rounds of one workload gave.
type result struct {
	Name   string  `json:"name"`
	Base   string  `json:"base"`
	Goal   goal    `json:"goal"`
	Rounds []round `json:"rounds"`
}

type round struct {
	Base figures `json:"base"`
	Side figures `json:"side"`
}

func newReport(set settings) *report {
	return &report{Time: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), CPUs: runtime.NumCPU(), Settings: set}
}

// spread is the median of some figures, with the least and the greatest.
type spread struct{ min, median, max float64 }

func (r result) spread(of func(round) float64) spread {
	all := make([]float64, 0, len(r.Rounds))
	for _, pair := range r.Rounds {
		all = append(all, of(pair))
	}
	slices.Sort(all)
	n := len(all)
	if n == 0 {
		return spread{}
	}
	return spread{all[0], (all[(n-1)/2] + all[n/2]) / 2, all[n-1]}
}

func (r result) ratio() spread {
	return r.spread(func(p round) float64 { return p.Side.Rate / p.Base.Rate })
}

func (r result) cost() spread {
	return r.spread(func(p round) float64 { return p.Side.CPU - p.Base.CPU })
}

// verdict holds the medians against the goal.
func (r result) verdict() string {
	g, ratio, cost := r.Goal, r.ratio().median, r.cost().median
	switch {
	case g == goal{}:
		return ""
	case g.Floor > 0 && ratio < g.Floor || g.CostLimit > 0 && cost > g.CostLimit:
		return "not acceptable"
	case ratio < g.Ratio || g.Cost > 0 && cost > g.Cost:
		return "short of the goal"
	}
	return "reached"
}

// farBelow is the share of what is acceptable below which no noise of the
// machine is an excuse.
const farBelow = 0.8

// failure is why the run as a whole failed.
func (r *report) failure() error {
	errs := []error{grown(r.Soak), r.Jar.failure()}
	for _, w := range r.Workloads {
		if ratio := w.ratio().median; ratio < farBelow*w.Goal.Floor {
			errs = append(errs, fmt.Errorf("%s: a ratio of %.2f is far below %.2f", w.Name, ratio, w.Goal.Floor))
		}
	}
	for _, t := range r.Trials {
		errs = append(errs, t.failure())
	}
	return errors.Join(errs...)
}

// print writes the tables.
func (r *report) print(out io.Writer) {
	if len(r.Trials) > 0 {
		for _, t := range r.Trials {
			t.print(out)
		}
		return
	}
	if r.Compared != "" {
		r.printComparison(out)
		return
	}
	fmt.Fprintf(out, "\n%s, %d CPUs, %d connections, %d sessions of %d B; medians of %d rounds of %v, (least–greatest)\n\n",
		r.Go, r.CPUs, connections, sessions, len(sessionData), r.Settings.Rounds, r.Settings.Duration)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "workload\tbase\tbase/s\tside/s\tratio\tgoal\tCPU over base, µs\tgoal\tp50, p99 ms\t")
	for _, x := range r.Workloads {
		ratio, cost := x.ratio(), x.cost()
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t%.2f (%.2f–%.2f)\t%s\t%+.1f (%+.1f–%+.1f)\t%s\t%.1f, %.1f\t%s\n", x.Name, x.Base,
			x.spread(func(p round) float64 { return p.Base.Rate }).median,
			x.spread(func(p round) float64 { return p.Side.Rate }).median,
			ratio.median, ratio.min, ratio.max, orDash("%.2f", x.Goal.Ratio),
			cost.median, cost.min, cost.max, orDash("%+.0f", x.Goal.Cost),
			x.spread(func(p round) float64 { return p.Side.P50 }).median/1000,
			x.spread(func(p round) float64 { return p.Side.P99 }).median/1000,
			x.verdict())
	}
	_ = w.Flush()
	if r.Jar != nil {
		r.Jar.print(out)
	}
	printSamples(out, "soak, reads and writes in turn", r.Soak)
	printSamples(out, "a store of many sessions: empty, stored, each read once", r.Many)
	if p := r.Parked; p != nil {
		fmt.Fprintf(out, "\nheap and stacks of one of %d parked requests, KiB\n\n", p.Requests)
		fmt.Fprintf(out, "waiting for a serialized session  %.1f  (in the app, through bare Caddy: %.1f)\n", p.Waiter, p.Held)
		fmt.Fprintf(out, "an open WebSocket                 %.1f  (through bare Caddy: %.1f)\n", p.Socket, p.BareSocks)
	}
}

func printSamples(out io.Writer, title string, samples []sample) {
	if len(samples) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s\n\n", title)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "requests\tgoroutines\tfiles\tRSS MiB\tdisk MiB\t")
	for _, s := range samples {
		fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t\n", s.Requests, s.Goroutines, s.Files, s.RSS, s.Disk)
	}
	_ = w.Flush()
}

func orDash(format string, v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

// write saves the figures of every round as JSON.
func (r *report) write(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
