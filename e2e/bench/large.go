package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"time"
)

// A large store is compared with one of fewSessions. Of its sessions, spread
// ones are read: more than there is memory for copies of.
const (
	fewSessions    = 1000
	spreadSessions = 100_000
	listed         = 1000
)

// largeStore is one proxy with as many sessions as asked for, and one with few.
func largeStore(f *fleet, set settings, progress io.Writer) (*trial, error) {
	return largeTrial(f, set, progress, false)
}

// compressedStore is the same, with files that are compressed.
func compressedStore(f *fleet, set settings, progress io.Writer) (*trial, error) {
	return largeTrial(f, set, progress, true)
}

func largeTrial(f *fleet, set settings, progress io.Writer, compress bool) (*trial, error) {
	t := &trial{Name: fmt.Sprintf("a store of %d sessions of %d B", set.Large, len(sessionData))}
	suffix := ""
	if compress {
		t.Name, suffix = t.Name+", compressed", "-zstd"
	}
	few, err := newProxy(f, spec{name: "few" + suffix, durability: "async", compress: compress})
	if err != nil {
		return nil, err
	}
	defer func() { few.stop() }()
	if few.cookies, err = few.begin(fewSessions); err != nil {
		return nil, err
	}
	large, err := newProxy(f, spec{name: "large" + suffix, durability: "async", compress: compress})
	if err != nil {
		return nil, err
	}
	defer func() { large.stop() }()
	empty, err := large.anonymous()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if large.cookies, err = large.beginMany(set.Large); err != nil {
		return nil, err
	}
	fmt.Fprintf(progress, "# stored in %v\n", time.Since(start).Round(time.Second))
	millions := float64(set.Large) / 1e6

	large.stop() // in good order: everything is in the store's tables then
	start = time.Now()
	if err := large.start(); err != nil {
		return nil, err
	}
	t.atMost("start-up until it serves", time.Since(start).Seconds(), "s", 2, 0)
	disk, err := large.settledDisk(f.ctx)
	if err != nil {
		return nil, err
	}
	// A store allocates its logs ahead, however few sessions it has.
	ahead, err := diskUse(filepath.Join(few.dir, "store"))
	if err != nil {
		return nil, err
	}
	t.atMost("disk after compaction beyond that of few sessions, per million", float64(max(disk-ahead, 0))/millions, "MiB", 350, 1024)

	read := workload{name: t.Name, base: f.side(few, set, "/read"), side: f.side(large, set, "/read")}
	res, err := read.run(set.Rounds)
	if err != nil {
		return nil, err
	}
	t.atLeast(fmt.Sprintf("READ throughput, over that with %d sessions", fewSessions), res.ratio().median, "", 0.90, 0)
	used, err := large.anonymous()
	if err != nil {
		return nil, err
	}
	goal, limit := 128.0, 400.0
	if millions < 1 { // what the proxy has once is not to be multiplied
		goal, limit = 0, 0
	}
	t.atMost("anonymous memory over an empty proxy, per million sessions", float64(used-empty)/millions, "MiB", goal, limit)
	page, err := large.firstPage(f.ctx)
	if err != nil {
		return nil, err
	}
	t.atMost(fmt.Sprintf("first page of %d sessions by the admin API, median", listed), float64(page.Microseconds())/1000, "ms", 20, 0)
	return t, nil
}

// beginMany stores sessions, and returns the cookies of some of them.
func (p *proxy) beginMany(n int) (cookies []string, err error) {
	const part = 50_000
	keep := max(1, n/spreadSessions)
	for left := n; left > 0; left -= part {
		some, err := p.begin(min(left, part))
		if err != nil {
			return nil, err
		}
		for i := 0; i < len(some); i += keep {
			cookies = append(cookies, some[i])
		}
	}
	return cookies, nil
}

// settledDisk returns the MiB of the store when they change no more.
func (p *proxy) settledDisk(ctx context.Context) (mib int, err error) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for same, last := 0, -1; same < 3; {
		if mib, err = diskUse(filepath.Join(p.dir, "store")); err != nil {
			return 0, err
		}
		if mib == last {
			same++
		} else {
			same, last = 0, mib
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return mib, nil
}

// firstPage returns how long the first page of a listing takes.
func (p *proxy) firstPage(ctx context.Context) (time.Duration, error) {
	var took []time.Duration
	for range 21 {
		var page struct {
			Sessions []json.RawMessage `json:"sessions"`
		}
		start := time.Now()
		if err := p.ask(ctx, fmt.Sprintf("/sessions/managers/bench/sessions?order=created&limit=%d", listed), &page); err != nil {
			return 0, err
		}
		took = append(took, time.Since(start))
		if len(page.Sessions) != listed {
			return 0, fmt.Errorf("the page has %d sessions", len(page.Sessions))
		}
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// ask gets a JSON document of the admin endpoint.
func (p *proxy) ask(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin"+path, nil)
	if err != nil {
		return err
	}
	resp, err := p.admin.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d: %.200s", path, resp.StatusCode, body)
	}
	return json.Unmarshal(body, into)
}
