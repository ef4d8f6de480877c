package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sweepSites are three managers: one that is read all the time, one whose
// sessions expire and name a file each, and one whose sessions expire.
const sweepSites = `
http://:{PORT} {
	bind 127.0.0.1
	session bench
	reverse_proxy {UPSTREAM}
}
http://:{SITE1} {
	bind 127.0.0.1
	session uploads {
		idle_timeout {LIFE}
		listener remove_files upload {
			root {DIR}/uploads
		}
	}
	reverse_proxy {UPSTREAM}
}
http://:{SITE2} {
	bind 127.0.0.1
	session plain {
		idle_timeout {LIFE}
	}
	reverse_proxy {UPSTREAM}
}
`

// sweepTrial has many sessions expire at once, while others are read.
func sweepTrial(f *fleet, set settings, progress io.Writer) (*trial, error) {
	n := set.Expiring
	t := &trial{Name: fmt.Sprintf("sweeping %d sessions that have expired", n)}
	// Long enough to store them all, and to look at what reading takes before.
	life := max(20*time.Second, time.Duration(n/2000)*time.Second)
	p, err := newProxy(f, spec{name: "sweep", durability: "async", sweep: "1s", sites: replaceLife(sweepSites, life)})
	if err != nil {
		return nil, err
	}
	defer p.stop()
	if p.cookies, err = p.begin(sessions); err != nil {
		return nil, err
	}
	files := filepath.Join(p.dir, "uploads")
	if err := os.Mkdir(files, 0o700); err != nil {
		return nil, err
	}
	for conn := range connections {
		for i := 1; i <= n/connections+1; i++ {
			if err := os.WriteFile(filepath.Join(files, fmt.Sprintf("%d-%d", conn, i)), nil, 0o600); err != nil {
				return nil, err
			}
		}
	}
	before, err := p.whileSwept(f.ctx, set, func() (bool, error) { return true, nil })
	if err != nil {
		return nil, err
	}
	if _, err := f.load(job{Address: p.serialized, Path: "/upload?name={conn}-{n}", Connections: connections, Requests: n}); err != nil {
		return nil, err
	}
	fmt.Fprintln(progress, "# stored; waiting until they expire")
	if err := p.until(f.ctx, "a sweep begins", func(s stats) bool { return s.Swept > 0 }); err != nil {
		return nil, err
	}
	begin := time.Now()
	during, err := p.whileSwept(f.ctx, set, func() (bool, error) {
		left, err := os.ReadDir(files)
		return len(left) <= connections, err // each connection has one file too many
	})
	if err != nil {
		return nil, err
	}
	t.atMost("READ p99 while sessions with files are swept, over before", during/before, "", 1.5, 0)
	t.atLeast("files removed", float64(n)/time.Since(begin).Seconds(), "/s", 0, 0)

	// Without listeners, with nothing else going on: how long from the first
	// to the last.
	if _, err := f.load(job{Address: p.merging, Path: "/begin", Connections: connections, Requests: n}); err != nil {
		return nil, err
	}
	var first, last time.Time
	base, err := p.stats(f.ctx)
	if err != nil {
		return nil, err
	}
	err = p.until(f.ctx, "all are swept", func(s stats) bool {
		now := time.Now()
		if first.IsZero() && s.Swept > base.Swept {
			first, base = now, s
		}
		last = now
		return !first.IsZero() && s.Sessions("plain") == 0
	})
	if err != nil {
		return nil, err
	}
	end, err := p.stats(f.ctx)
	if err != nil {
		return nil, err
	}
	t.atLeast("swept without listeners", float64(end.Swept-base.Swept)/last.Sub(first).Seconds(), "/s", 20_000, 0)
	return t, nil
}

// whileSwept reads in rounds until done, at least three, and returns the
// median of their p99 in µs.
func (p *proxy) whileSwept(ctx context.Context, set settings, done func() (bool, error)) (p99 float64, err error) {
	var all []float64
	for over := false; len(all) < 3 || !over; {
		fig, _, err := p.f.timed(p.cmd.Process.Pid, job{Address: p.address, Path: "/read", Cookies: p.cookies, Connections: connections, Duration: set.Duration})
		if err != nil {
			return 0, err
		}
		all = append(all, fig.P99)
		if over, err = done(); err != nil {
			return 0, err
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// stats are those of the admin API, as far as they are of use here.
type stats struct {
	Swept    int64
	managers map[string]int64
}

// Sessions returns how many a manager has.
func (s stats) Sessions(manager string) int64 { return s.managers[manager] }

func (p *proxy) stats(ctx context.Context) (s stats, err error) {
	text, err := p.metrics(ctx)
	if err != nil {
		return s, err
	}
	swept, err := find(text, "caddy_sessions_store_swept_total ")
	if err != nil {
		return s, err
	}
	s.Swept = int64(swept)
	var list struct {
		Managers []struct {
			ID       string `json:"id"`
			Sessions int64  `json:"sessions"`
		} `json:"managers"`
	}
	if err := p.ask(ctx, "/sessions/managers", &list); err != nil {
		return s, err
	}
	s.managers = make(map[string]int64)
	for _, m := range list.Managers {
		s.managers[m.ID] = m.Sessions
	}
	return s, nil
}

// until asks again and again, ten minutes at most.
func (p *proxy) until(ctx context.Context, what string, holds func(stats) bool) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := p.stats(ctx)
		if err != nil {
			return err
		}
		if holds(s) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		}
	}
}

// replaceLife fills in how long sessions live without activity.
func replaceLife(sites string, life time.Duration) string {
	return strings.ReplaceAll(sites, "{LIFE}", strconv.Itoa(int(life.Seconds()))+"s")
}
