package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// workload compares two sides in alternated rounds.
type workload struct {
	name       string
	baseName   string
	base, side func() (figures, error)
	goal       goal
}

// goal is what a workload should reach, and what is not acceptable. A zero
// ratio is no goal at all, a zero cost none for processor time.
type goal struct {
	Ratio     float64 `json:"ratio"` // of throughput to the base's
	Floor     float64 `json:"floor"`
	Cost      float64 `json:"cost_us"` // processor time over the base's, per request, in µs
	CostLimit float64 `json:"cost_limit_us"`
}

// figures are what one side of a round gave.
type figures struct {
	Rate float64 `json:"rate"`   // requests per second
	CPU  float64 `json:"cpu_us"` // of the proxy, per request, in µs
	P50  float64 `json:"p50_us"`
	P99  float64 `json:"p99_us"`
}

// workloads returns those that the settings ask for.
func workloads(f *fleet, set settings) (list []workload) {
	write := f.side(f.async, set, "/write")
	increments := 0
	for _, w := range []workload{
		{"A/A control: bare against bare", "bare", f.side(f.bare, set, "/read"), f.side(f.bareTwin, set, "/read"), goal{}},
		{"READ, equal headroom", "bare", f.side(f.bareRoom, set, "/read"), f.side(f.asyncRoom, set, "/read"), goal{0.97, 0.94, 5, 12}},
		{"READ, as delivered", "bare", f.side(f.bare, set, "/read"), f.side(f.async, set, "/read"), goal{1.00, 0.96, 0, 0}},
		{"WRITE, async", "bare", f.side(f.bare, set, "/write"), f.side(f.async, set, "/write"), goal{0.88, 0.80, 25, 45}},
		{"WRITE, sync", "bare", f.side(f.bare, set, "/write"), f.side(f.sync, set, "/write"), goal{0.55, 0.45, 0, 0}},
		{"bare, one connection: the pace of one after the other", "WRITE", write, f.alone(set), goal{}},
		{"serialized, one session incremented", "WRITE", write, f.serialized(set, f.async, &increments), goal{0.50, 0, 0, 0}},
		{"lossy, one session, 32 keys", "WRITE", write, f.keys(set, f.async.address, f.async.shared), goal{0.80, 0, 0, 0}},
		{"optimistic merge, one session, 32 keys", "WRITE", write, f.keys(set, f.async.merging, f.async.planner), goal{0.50, 0, 0, 0}},
		{"READ with an endpoint that is not used", "no endpoint", f.side(f.closed, set, "/read"), f.side(f.open, set, "/read"), goal{0, 0, 1, 0}},
		{"READ with a jar of 3 cookies", "no jar", f.side(f.jar.proxy, set, "/read"), f.jarSide(set, "/read"), goal{0, 0, 6, 10}},
		{"a changed cookie in a jar", "WRITE", f.side(f.jar.proxy, set, "/write"), f.jarSide(set, "/cookies/change"), goal{0.90, 0, 0, 0}},
		{"endpoint: GET data", "net/http", f.static(set, "GET"), f.endpoint(set, f.async, "GET", "", ""), goal{0.70, 0, 0, 0}},
		{"endpoint: PATCH data", "net/http", f.static(set, "PATCH"), f.endpoint(set, f.async, "PATCH", "application/merge-patch+json", `{"n":1}`), goal{0.70, 0, 0, 0}},
	} {
		if strings.Contains(w.name, set.only) {
			list = append(list, w)
		}
	}
	return list
}

// run alternates the sides: A B, B A, A B, …, after one turn of each that
// does not count.
func (w workload) run(rounds int) (result, error) {
	res := result{Name: w.name, Base: w.baseName, Goal: w.goal}
	for i := -1; i < rounds; i++ {
		var pair round
		order := []func() error{
			func() (err error) { pair.Base, err = w.base(); return err },
			func() (err error) { pair.Side, err = w.side(); return err },
		}
		if i%2 != 0 {
			order[0], order[1] = order[1], order[0]
		}
		for _, side := range order {
			if err := side(); err != nil {
				return res, err
			}
		}
		if i >= 0 {
			res.Rounds = append(res.Rounds, pair)
		}
	}
	return res, nil
}

// side is load on one path of a proxy, spread over all sessions if it has any.
func (f *fleet) side(p *proxy, set settings, path string) func() (figures, error) {
	return func() (figures, error) {
		cookies := p.cookies
		if cookies == nil {
			cookies = f.async.cookies // bare: the same requests
		}
		fig, _, err := f.timed(p.cmd.Process.Pid, job{Address: p.address, Path: path, Cookies: cookies, Connections: connections, Duration: set.Duration})
		return fig, err
	}
}

// alone is what bare Caddy does for a single connection: a request begins when
// the last one has ended, as those do that wait for one session's lock.
func (f *fleet) alone(set settings) func() (figures, error) {
	return func() (figures, error) {
		fig, _, err := f.timed(f.bare.cmd.Process.Pid, job{Address: f.bare.address, Path: "/write", Connections: 1, Duration: set.Duration})
		return fig, err
	}
}

// serialized has all clients read, add one and write, on one session. Their
// increments are counted; every one has to be there.
func (f *fleet) serialized(set settings, p *proxy, total *int) func() (figures, error) {
	return func() (figures, error) {
		fig, t, err := f.timed(p.cmd.Process.Pid, job{Address: p.serialized, Path: "/increment", Cookies: []string{p.counter}, Connections: connections, Duration: set.Duration})
		if err != nil {
			return fig, err
		}
		*total += t.Requests
		data, err := f.data(p.serialized, p.counter)
		if err != nil {
			return fig, err
		}
		if got := data["n"]; got != float64(*total) {
			return fig, lossError(fmt.Sprintf("%d increments were acknowledged, %v are stored", *total, got))
		}
		return fig, nil
	}
}

// static is a bare server's answer of the same bytes.
func (f *fleet) static(set settings, method string) func() (figures, error) {
	return func() (figures, error) {
		j := job{Address: f.upstream, Path: "/static", Method: method, Connections: connections, Duration: set.Duration}
		if method != http.MethodGet {
			j.Type, j.Body = "application/merge-patch+json", `{"n":1}`
		}
		fig, _, err := f.timed(f.upstreamPID, j)
		return fig, err
	}
}

// endpoint is calls of an app, on as many requests as there are connections.
func (f *fleet) endpoint(set settings, p *proxy, method, kind, body string) func() (figures, error) {
	return func() (figures, error) {
		paths, address, release, err := f.hold(p, connections)
		if err != nil {
			return figures{}, err
		}
		defer release()
		for i := range paths {
			paths[i] += "/data"
		}
		fig, _, err := f.timed(p.cmd.Process.Pid, job{
			Address: address, Paths: paths, Method: method, Type: kind, Body: body, Connections: connections, Duration: set.Duration,
		})
		return fig, err
	}
}

// hold has the app keep requests open, and returns the paths and the address
// of their endpoints. release ends them.
func (f *fleet) hold(p *proxy, n int) (paths []string, address string, release func(), err error) {
	ctx, cancel := context.WithCancel(f.ctx)
	var wg sync.WaitGroup
	release = func() { cancel(); wg.Wait() }
	defer func() {
		if err != nil {
			release()
		}
	}()
	for i := range n {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/hold?name=%d", p.address, i), nil)
		if err != nil {
			return nil, "", nil, err
		}
		req.Header.Set("Cookie", p.cookies[i])
		wg.Go(func() {
			if resp, err := http.DefaultClient.Do(req); err == nil { // it ends by being cancelled
				_ = resp.Body.Close()
			}
		})
		url, err := f.get(f.upstream, fmt.Sprintf("/held?name=%d", i), "")
		if err != nil {
			return nil, "", nil, err
		}
		rest := strings.TrimPrefix(string(url), "http://")
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			return nil, "", nil, fmt.Errorf("%q is no endpoint", url)
		}
		address, paths = rest[:slash], append(paths, rest[slash:])
	}
	return paths, address, release, nil
}

// keys has each client set a key of its own, in one session. The last value
// of each has to be there.
func (f *fleet) keys(set settings, address, cookie string) func() (figures, error) {
	return func() (figures, error) {
		fig, t, err := f.timed(f.async.cmd.Process.Pid, job{Address: address, Path: "/key?k={conn}&v={n}", Cookies: []string{cookie}, Connections: connections, Duration: set.Duration})
		if err != nil {
			return fig, err
		}
		data, err := f.data(address, cookie)
		if err != nil {
			return fig, err
		}
		for conn, n := range t.Acked {
			if got := data[fmt.Sprintf("k%d", conn)]; got != float64(n) {
				return fig, lossError(fmt.Sprintf("client %d had %d acknowledged, %v is stored", conn, n, got))
			}
		}
		return fig, nil
	}
}

// lossError is an update that was acknowledged and is not there.
type lossError string

func (e lossError) Error() string { return "updates were lost: " + string(e) }

// timed does a job, and measures a process's processor time meanwhile.
func (f *fleet) timed(pid int, j job) (figures, tally, error) {
	before, err := processorTime(pid)
	if err != nil {
		return figures{}, tally{}, err
	}
	t, err := f.load(j)
	if err != nil {
		return figures{}, t, err
	}
	after, err := processorTime(pid)
	if err != nil {
		return figures{}, t, err
	}
	return figures{
		Rate: float64(t.Requests) / t.Elapsed.Seconds(),
		CPU:  float64((after - before).Microseconds()) / float64(t.Requests),
		P50:  float64(t.P50.Microseconds()),
		P99:  float64(t.P99.Microseconds()),
	}, t, nil
}

// data returns what a session holds, as the app sees it.
func (f *fleet) data(address, cookie string) (data map[string]any, err error) {
	body, err := f.get(address, "/data", cookie)
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(body, &data)
	return data, err
}
