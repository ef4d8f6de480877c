package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// jarSites are two managers of one proxy, which differ in the cookie jar alone.
const jarSites = `
http://:{PORT} {
	bind 127.0.0.1
	session plain {
		forward id
	}
	reverse_proxy {UPSTREAM}
}
http://:{SITE1} {
	bind 127.0.0.1
	session jar {
		forward id
		cookies
	}
	reverse_proxy {UPSTREAM}
}
`

const (
	repeatedCookies = 10_000 // responses that set a cookie again as it is
	fullJars        = 1000   // sessions with as many cookies as a jar takes
)

// jarProxy is one proxy with a site of sessions without jar, and one with.
type jarProxy struct {
	*proxy
	site string   // with the jar; address is the one without
	jars []string // tickets of that site's sessions
}

// jarFigures are what cookies cost besides time.
type jarFigures struct {
	Repeated int      `json:"repeated"` // responses that set a cookie again
	Writes   int      `json:"writes"`   // of the store meanwhile
	Full     []sample `json:"full"`     // jars of 128 cookies: none, stored, each read once
}

func (f *fleet) newJarProxy(name string) (*jarProxy, error) {
	p, err := newProxy(f, spec{name: name, durability: "async", sites: jarSites})
	if err != nil {
		return nil, err
	}
	return &jarProxy{proxy: p, site: p.serialized}, nil
}

// startJars starts the proxy of the workloads with a cookie jar.
func (f *fleet) startJars() (err error) {
	if f.jar, err = f.newJarProxy("jar"); err != nil {
		return err
	}
	f.stops = append(f.stops, f.jar.stop)
	if f.jar.cookies, err = f.jar.begin(sessions); err != nil {
		return err
	}
	f.jar.jars, err = f.jar.beginJars("/cookies/three", sessions)
	return err
}

// beginJars begins sessions whose cookies the app sets at that path.
func (p *jarProxy) beginJars(path string, n int) ([]string, error) {
	t, err := p.f.load(job{Address: p.site, Path: path, Connections: min(n, connections), Requests: n, Collect: true})
	if err != nil {
		return nil, err
	}
	if len(t.Cookies) != n { // those of the app would be there too
		return nil, fmt.Errorf("%d sessions with a jar began by %d cookies in the browser", n, len(t.Cookies))
	}
	return t.Cookies, nil
}

// jarSide is load on a path of the site with the jar.
func (f *fleet) jarSide(set settings, path string) func() (figures, error) {
	return func() (figures, error) {
		fig, _, err := f.timed(f.jar.cmd.Process.Pid, job{Address: f.jar.site, Path: path, Cookies: f.jar.jars, Connections: connections, Duration: set.Duration})
		return fig, err
	}
}

// weighJars has one session's cookie repeated, and stores full jars.
func weighJars(ctx context.Context, f *fleet, progress io.Writer) (*jarFigures, error) {
	fmt.Fprintf(progress, "# %d repeated cookies, %d full jars\n", repeatedCookies, fullJars)
	result := &jarFigures{Repeated: repeatedCookies}
	repeat := job{Address: f.jar.site, Path: "/cookies/repeat", Cookies: f.jar.jars[:1], Connections: 1}
	repeat.Requests = 1 // a workload may have changed the cookie
	if _, err := f.load(repeat); err != nil {
		return nil, err
	}
	before, err := f.jar.storeWrites(ctx)
	if err != nil {
		return nil, err
	}
	repeat.Requests = repeatedCookies
	if _, err := f.load(repeat); err != nil {
		return nil, err
	}
	after, err := f.jar.storeWrites(ctx)
	if err != nil {
		return nil, err
	}
	result.Writes = after - before

	p, err := f.newJarProxy("full-jars")
	if err != nil {
		return nil, err
	}
	defer p.stop()
	var tickets []string
	for step := range 3 {
		switch step {
		case 1:
			tickets, err = p.beginJars("/cookies/full", fullJars)
		case 2:
			_, err = f.load(job{Address: p.site, Path: "/read", Cookies: tickets, Connections: connections, Requests: fullJars})
		}
		if err != nil {
			return nil, err
		}
		s, err := p.sample(ctx)
		if err != nil {
			return nil, err
		}
		s.Requests = step * fullJars
		result.Full = append(result.Full, s)
	}
	return result, nil
}

// storeWrites returns how often the proxy has asked its store to write.
func (p *proxy) storeWrites(ctx context.Context) (int, error) {
	text, err := p.metrics(ctx)
	if err != nil {
		return 0, err
	}
	return countWrites(text)
}

// countWrites adds up the writes in what a proxy tells Prometheus.
func countWrites(text string) (total int, err error) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "caddy_sessions_store_seconds_count{") ||
			strings.Contains(line, `op="load"`) || strings.Contains(line, `op="touch"`) {
			continue
		}
		n, err := find(line, line[:strings.IndexByte(line, '}')+1])
		if err != nil {
			return 0, err
		}
		total += int(n)
	}
	return total, nil
}

func (j *jarFigures) print(out io.Writer) {
	fmt.Fprintf(out, "\n%d responses that set a cookie again as it was: %d writes of the store\n", j.Repeated, j.Writes)
	printSamples(out, fmt.Sprintf("%d sessions with 128 cookies of 100 B: empty, stored, each read once", fullJars), j.Full)
}

// failure is an error if a cookie that did not change was written.
func (j *jarFigures) failure() error {
	if j == nil || j.Writes == 0 {
		return nil
	}
	return fmt.Errorf("%d responses with an unchanged cookie caused %d writes", j.Repeated, j.Writes)
}
