package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

// counts is what was done and seen.
type counts struct {
	requests, answered, unanswered, writes, lost, conflicts atomic.Int64
	sessions, rotations, ends, streams, dead, audits, large atomic.Int64
	rss, goroutines                                         atomic.Int64 // the most that were seen

	mu       sync.Mutex
	problems map[string]int
	phases   map[string]int
	longest  map[string]time.Duration // until a phase was got over
}

func (c *counts) problem(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.problems == nil {
		c.problems = make(map[string]int)
	}
	c.problems[name]++
}

func (c *counts) phase(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phases == nil {
		c.phases = make(map[string]int)
	}
	c.phases[name]++
}

func (c *counts) recovered(name string, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.longest == nil {
		c.longest = make(map[string]time.Duration)
	}
	c.longest[name] = max(c.longest[name], d)
}

func (c *counts) list(of map[string]int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, of[name]))
	}
	return strings.Join(parts, ", ")
}

// report prints a line a minute, and looks at memory and goroutines.
func (w *world) report(out io.Writer, began time.Time) {
	t := time.NewTicker(w.Interval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-w.ctx.Done():
			return
		}
		rss, goroutines := residentMiB(w.proxy.pid()), w.goroutines()
		w.counts.rss.Store(max(w.counts.rss.Load(), int64(rss)))
		w.counts.goroutines.Store(max(w.counts.goroutines.Load(), int64(goroutines)))
		missing, _, _ := w.hooks.open()
		fmt.Fprintf(out, "%s: %d requests, %d writes acknowledged, %d ended, %d webhooks missing; problems: %s; %s; %d MiB, %d goroutines\n",
			time.Since(began).Round(time.Second), w.counts.requests.Load(), w.counts.writes.Load(), w.counts.ends.Load(), missing,
			w.counts.list(w.counts.problems), w.counts.list(w.counts.phases), rss, goroutines)
		if rss > w.MaxRSS {
			w.violation(nil, "the proxy has %d MiB", rss)
		}
		if goroutines > w.MaxGoroutines {
			w.violation(nil, "the proxy has %d goroutines", goroutines)
		}
	}
}

// goroutines asks the proxy how many it has; 0 when it does not answer.
func (w *world) goroutines() int {
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	_, text, err := w.proxy.call(ctx, http.MethodGet, "/metrics", "", "")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			n, _ := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return int(n)
		}
	}
	return 0
}

// summary prints what was measured.
func (w *world) summary(out io.Writer, took time.Duration) {
	c := &w.counts
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, row := range []struct {
		what string
		n    any
	}{
		{"time", took.Round(time.Second)},
		{"seed", w.Seed},
		{"requests", c.requests.Load()},
		{"answered 200", c.answered.Load()},
		{"answers lost on purpose", c.lost.Load()},
		{"unanswered, these included", c.unanswered.Load()},
		{"problems", c.list(c.problems)},
		{"writes acknowledged", c.writes.Load()},
		{"large writes acknowledged", c.large.Load()},
		{"conflicts in shared sessions", c.conflicts.Load()},
		{"exact sums compared", c.audits.Load()},
		{"sessions begun", c.sessions.Load()},
		{"tickets replaced", c.rotations.Load()},
		{"sessions ended", c.ends.Load()},
		{"streams opened", c.streams.Load()},
		{"dead tickets presented", c.dead.Load()},
		{"webhooks heard", w.hooks.heard},
		{"webhooks heard twice", w.hooks.twice},
		{"runs of the proxy", w.runs.Load()},
		{"phases", c.list(c.phases)},
		{"most memory, MiB", c.rss.Load()},
		{"most goroutines", c.goroutines.Load()},
	} {
		fmt.Fprintf(t, "%s\t%v\n", row.what, row.n)
	}
	for _, name := range slices.Sorted(maps.Keys(c.longest)) {
		fmt.Fprintf(t, "longest recovery from %s\t%s\n", name, c.longest[name].Round(time.Millisecond))
	}
	_ = t.Flush()
}
