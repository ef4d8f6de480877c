package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// parts is how often a soak is sampled.
const parts = 10

// soak sends many requests, reads and writes in turn, and samples the proxy
// between them. The first sample is of a proxy that is warm.
func soak(ctx context.Context, p *proxy, requests int) (samples []sample, err error) {
	for i := range parts {
		path := "/read"
		if i%2 == 1 {
			path = "/write"
		}
		j := job{Address: p.address, Path: path, Cookies: p.cookies, Connections: connections, Requests: requests / parts}
		if _, err := p.f.load(j); err != nil {
			return samples, err
		}
		s, err := p.sample(ctx)
		if err != nil {
			return samples, err
		}
		s.Requests = (i + 1) * j.Requests
		samples = append(samples, s)
	}
	return samples, nil
}

// grown tells what grew between the first third of a soak and its end.
// Resident memory and disk are for the reader: both move with garbage
// collection and compaction.
func grown(samples []sample) error {
	if len(samples) < parts {
		return nil
	}
	warm, end := samples[parts/3], samples[len(samples)-1]
	const slack = 2 * connections // both sides of a connection end on their own time
	if end.Goroutines > warm.Goroutines+slack {
		return fmt.Errorf("goroutines grew from %d to %d", warm.Goroutines, end.Goroutines)
	}
	if end.Files > warm.Files+slack {
		return fmt.Errorf("open files grew from %d to %d", warm.Files, end.Files)
	}
	return nil
}

// many stores that many sessions in a fresh proxy, and reads each once.
func many(ctx context.Context, f *fleet, n int) (samples []sample, err error) {
	p, err := newProxy(f, spec{name: "many", durability: "async"})
	if err != nil {
		return nil, err
	}
	defer p.stop()
	var cookies []string
	for step := range 3 {
		switch step {
		case 1:
			cookies, err = p.begin(n)
		case 2:
			_, err = f.load(job{Address: p.address, Path: "/read", Cookies: cookies, Connections: connections, Requests: n})
		}
		if err != nil {
			return samples, err
		}
		s, err := p.sample(ctx)
		if err != nil {
			return samples, err
		}
		s.Requests = step * n
		samples = append(samples, s)
	}
	return samples, nil
}

// get sends one request.
func (f *fleet) get(address, path, cookie string) ([]byte, error) {
	req, err := http.NewRequestWithContext(f.ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return nil, err
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %d: %s", path, resp.StatusCode, body)
	}
	return body, err
}
