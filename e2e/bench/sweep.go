package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
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

// No session is swept before a reload says so: all have expired by then.
const sweepLater, sweepNow = "sweep_interval 100h", "sweep_interval 1s"

// sweepTrial has many sessions expire, and sweeps them while others are read.
func sweepTrial(f *fleet, set settings, progress io.Writer) (*trial, error) {
	n := set.Expiring
	t := &trial{Name: fmt.Sprintf("sweeping %d sessions that have expired", n)}
	const life = 10 * time.Second
	p, err := newProxy(f, spec{name: "sweep", durability: "async", sweep: "100h", sites: replaceLife(sweepSites, life)})
	if err != nil {
		return nil, err
	}
	defer p.stop()
	if p.cookies, err = p.begin(sessions); err != nil {
		return nil, err
	}
	files := filepath.Join(p.dir, "uploads")
	if err := writeFiles(files, n); err != nil {
		return nil, err
	}
	expire := func(address, path string) error {
		if _, err := f.load(job{Address: address, Path: path, Connections: connections, Requests: n}); err != nil {
			return err
		}
		fmt.Fprintln(progress, "# stored; waiting until they expire")
		return pause(f.ctx, life+life/20+2*time.Second)
	}
	if err := expire(p.serialized, "/upload?name={conn}-{n}"); err != nil {
		return nil, err
	}
	before, err := p.whileSwept(f.ctx, set, func() (bool, error) { return true, nil })
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := p.reload(f.ctx, sweepLater, sweepNow); err != nil {
		return nil, err
	}
	var took time.Duration
	during, err := p.whileSwept(f.ctx, set, func() (bool, error) {
		left, err := os.ReadDir(files)
		if took == 0 && len(left) <= connections { // each connection has one file too many
			took = time.Since(begin)
		}
		return took > 0, err
	})
	if err != nil {
		return nil, err
	}
	t.atLeast("files removed while others read", float64(n)/took.Seconds(), "/s", 0, 0)
	t.atMost("READ p99 while sessions with files are swept, over before", during/before, "", 1.5, 0)

	// The same without listeners, and nothing else going on.
	if err := p.reload(f.ctx, sweepNow, sweepLater); err != nil {
		return nil, err
	}
	if err := expire(p.merging, "/begin"); err != nil {
		return nil, err
	}
	begin = time.Now()
	if err := p.reload(f.ctx, sweepLater, sweepNow); err != nil {
		return nil, err
	}
	if err := p.until(f.ctx, "all are swept", func(s stats) bool { return s.managers["plain"] == 0 }); err != nil {
		return nil, err
	}
	t.atLeast("swept without listeners", float64(n)/time.Since(begin).Seconds(), "/s", 20_000, 0)
	return t, nil
}

// writeFiles makes an empty file for each of so many sessions, by the name
// that the app gives it.
func writeFiles(dir string, n int) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for conn := range connections {
		for i := 1; i <= n/connections+1; i++ {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%d", conn, i)), nil, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reload changes words of the running proxy's configuration.
func (p *proxy) reload(ctx context.Context, from, to string) error {
	file := filepath.Join(p.dir, "Caddyfile")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text = bytes.ReplaceAll(text, []byte(from), []byte(to))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/load", bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	resp, err := p.admin.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("reloading: %s", resp.Status)
	}
	return nil
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

// stats are how many sessions each manager has.
type stats struct{ managers map[string]int64 }

func (p *proxy) stats(ctx context.Context) (s stats, err error) {
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
