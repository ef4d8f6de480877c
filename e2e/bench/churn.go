package main

import (
	"fmt"
	"io"
	"time"
)

const churnSites = `
http://:{PORT} {
	bind 127.0.0.1
	session bench {
		idle_timeout 5s
		absolute_timeout 1m
	}
	reverse_proxy {UPSTREAM}
}
`

// churn begins, uses and abandons sessions at full speed, and looks at what is
// left of it. The sessions live for seconds, so that all ages are there at
// once after a moment.
func churn(f *fleet, set settings, progress io.Writer) (*trial, error) {
	t := &trial{Name: fmt.Sprintf("%v of sessions that begin, are used and expire", set.Churn)}
	p, err := newProxy(f, spec{name: "churn", durability: "async", sweep: "1s", sites: churnSites})
	if err != nil {
		return nil, err
	}
	defer p.stop()
	total := 0
	look := func() error {
		s, err := p.sample(f.ctx)
		s.Requests = total
		t.Curve = append(t.Curve, s)
		return err
	}
	const parts = 20
	part := set.Churn / parts
	for i := range parts {
		for begin := time.Now(); time.Since(begin) < part; {
			begun, err := f.load(job{Address: p.address, Path: "/begin", Connections: connections, Requests: 5000, Collect: true})
			if err != nil {
				return nil, err
			}
			used, err := f.load(job{Address: p.address, Path: "/write", Cookies: begun.Cookies, Connections: connections, Requests: 5000})
			if err != nil {
				return nil, err
			}
			total += begun.Requests + used.Requests
		}
		if i == 0 || i%2 == 1 {
			if err := look(); err != nil {
				return nil, err
			}
		}
	}
	fmt.Fprintln(progress, "# waiting until the last ones are swept")
	if err := p.until(f.ctx, "all are swept", func(s stats) bool { return s.managers["bench"] == 0 }); err != nil {
		return nil, err
	}
	if _, err := p.settledDisk(f.ctx); err != nil {
		return nil, err
	}
	if err := look(); err != nil {
		return nil, err
	}
	// Disk and memory go up and down with compaction and garbage collection,
	// so what is compared is their mean.
	third := len(t.Curve) / 3
	growth := func(of func(sample) int) float64 {
		return mean(t.Curve[len(t.Curve)-third:], of) / max(1, mean(t.Curve[:third], of))
	}
	t.atMost("disk in the last third, over the first", growth(func(s sample) int { return s.Disk }), "", 1.3, 0)
	t.atMost("resident memory in the last third, over the first", growth(func(s sample) int { return s.RSS }), "", 1.3, 0)
	t.atMost("goroutines in the last third, over the first", growth(func(s sample) int { return s.Goroutines }), "", 1.3, 2)
	t.atLeast("requests", float64(total)/set.Churn.Seconds(), "/s", 0, 0)
	return t, nil
}

func mean(samples []sample, of func(sample) int) float64 {
	sum := 0
	for _, s := range samples {
		sum += of(s)
	}
	return float64(sum) / float64(max(1, len(samples)))
}
