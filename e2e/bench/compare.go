package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/sessionproxy/sessionproxy/e2e/internal/product"
)

// control is what begins the name of a workload whose two sides are equal.
const control = "A/A "

// compare measures the working tree against a commit, in alternated rounds of
// the same workloads: the base of each is the commit's proxy.
func compare(ctx context.Context, f *fleet, set settings, ref string, progress io.Writer) (*report, error) {
	commit, binary, err := buildBase(ctx, f, ref)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", ref, err)
	}
	var old, sync, oldSync, twin *proxy
	for _, p := range []struct {
		to **proxy
		spec
	}{
		{&f.async, spec{name: "async", durability: "async"}},
		{&twin, spec{name: "twin", durability: "async"}},
		{&old, spec{name: "old", durability: "async", binary: binary}},
		{&sync, spec{name: "sync", durability: "sync"}},
		{&oldSync, spec{name: "old-sync", durability: "sync", binary: binary}},
	} {
		if *p.to, err = f.startProxy(p.spec); err != nil {
			return nil, fmt.Errorf("starting the proxy %q: %w", p.name, err)
		}
	}
	rep := newReport(set)
	rep.Compared = commit
	var before, after int
	for _, w := range []workload{
		{control + "READ", "itself", f.side(twin, set, "/read"), f.side(f.async, set, "/read"), goal{}},
		{control + "WRITE, async", "itself", f.side(twin, set, "/write"), f.side(f.async, set, "/write"), goal{}},
		{"READ", ref, f.side(old, set, "/read"), f.side(f.async, set, "/read"), goal{}},
		{"WRITE, async", ref, f.side(old, set, "/write"), f.side(f.async, set, "/write"), goal{}},
		{"WRITE, sync", ref, f.side(oldSync, set, "/write"), f.side(sync, set, "/write"), goal{}},
		{"serialized, one session incremented", ref, f.serialized(set, old, &before), f.serialized(set, f.async, &after), goal{}},
		{"endpoint: GET data", ref, f.endpoint(set, old, "GET", "", ""), f.endpoint(set, f.async, "GET", "", ""), goal{}},
	} {
		if !strings.Contains(w.name, set.only) && !strings.HasPrefix(w.name, control) {
			continue
		}
		fmt.Fprintf(progress, "# %s\n", w.name)
		res, err := w.run(set.Rounds)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", w.name, err)
		}
		rep.Workloads = append(rep.Workloads, res)
	}
	return rep, nil
}

// buildBase builds the proxy of a commit in a worktree that is gone afterwards.
func buildBase(ctx context.Context, f *fleet, ref string) (commit, binary string, err error) {
	out, err := exec.CommandContext(ctx, "git", "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}").Output()
	if err != nil {
		return "", "", fmt.Errorf("git knows no such commit: %w", err)
	}
	commit = strings.TrimSpace(string(out))
	tree := filepath.Join(f.dir, "base")
	if out, err := exec.CommandContext(ctx, "git", "worktree", "add", "--detach", tree, commit).CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("checking it out: %w: %s", err, out)
	}
	defer func() { // also when the run was interrupted
		remove := exec.CommandContext(context.WithoutCancel(ctx), "git", "worktree", "remove", "--force", tree)
		if out, e := remove.CombinedOutput(); e != nil && err == nil {
			err = fmt.Errorf("removing its worktree: %w: %s", e, out)
		}
	}()
	binary = filepath.Join(f.dir, "sessionproxy-base")
	return commit, binary, product.BuildIn(ctx, tree, binary)
}

// noise is how far a round of equal sides was from a ratio of one, at most.
func (r *report) noise() (most float64) {
	for _, w := range r.Workloads {
		if strings.HasPrefix(w.Name, control) {
			ratio := w.ratio()
			most = max(most, math.Abs(ratio.min-1), math.Abs(ratio.max-1))
		}
	}
	return most
}

// printComparison writes one line for each workload, and what equal sides
// differ by.
func (r *report) printComparison(out io.Writer) {
	noise := r.noise()
	fmt.Fprintf(out, "\nagainst %.12s: %s, %d CPUs, %d connections; medians of %d rounds of %v, (least–greatest)\n\n",
		r.Compared, r.Go, r.CPUs, connections, r.Settings.Rounds, r.Settings.Duration)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "workload\tbase/s\tnow/s\tratio\tCPU over base, µs\tp99 ms, base and now\t")
	for _, x := range r.Workloads {
		ratio, cost := x.ratio(), x.cost()
		verdict := ""
		switch {
		case strings.HasPrefix(x.Name, control):
		case ratio.median < 1-noise:
			verdict = "slower"
		case ratio.median > 1+noise:
			verdict = "faster"
		default:
			verdict = "within the noise"
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.2f (%.2f–%.2f)\t%+.1f (%+.1f–%+.1f)\t%.1f, %.1f\t%s\n", x.Name,
			x.spread(func(p round) float64 { return p.Base.Rate }).median,
			x.spread(func(p round) float64 { return p.Side.Rate }).median,
			ratio.median, ratio.min, ratio.max, cost.median, cost.min, cost.max,
			x.spread(func(p round) float64 { return p.Base.P99 }).median/1000,
			x.spread(func(p round) float64 { return p.Side.P99 }).median/1000, verdict)
	}
	_ = w.Flush()
	fmt.Fprintf(out, "\nA/A noise: ±%.0f %%\n", 100*noise)
}
