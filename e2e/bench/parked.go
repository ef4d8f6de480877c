package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
)

// parkedRequests is how many requests are parked to weigh one of them.
const parkedRequests = 1000

// parked is the memory of one request that waits, in KiB.
type parked struct {
	Waiter    float64 `json:"waiter_kib"`         // for a serialized session, in the proxy alone
	Held      float64 `json:"held_by_app_kib"`    // in the app, through bare Caddy
	Socket    float64 `json:"websocket_kib"`      // through a session
	BareSocks float64 `json:"bare_websocket_kib"` // through bare Caddy
	Requests  int     `json:"requests"`
}

// weigh parks requests in proxies of their own, and looks at their memory.
func weigh(ctx context.Context, f *fleet) (*parked, error) {
	result := &parked{Requests: parkedRequests}
	const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
	for _, c := range []struct {
		name, durability string
		into             *float64
		park             func(*proxy) ([]net.Conn, error)
	}{
		{"weigh-held", "", &result.Held, func(p *proxy) ([]net.Conn, error) {
			return park(p.address, "/hold?name=bare{n}", "", "")
		}},
		{"weigh-waiters", "async", &result.Waiter, func(p *proxy) ([]net.Conn, error) {
			cookies, err := f.load(job{Address: p.serialized, Path: "/begin", Connections: 1, Requests: 1, Collect: true})
			if err != nil {
				return nil, err
			}
			header := "Cookie: " + cookies.Cookies[0] + "\r\n"
			first, err := parkOne(p.serialized, "/hold?name=lock", header, "") // has the lock
			if err != nil {
				return nil, err
			}
			if _, err := f.get(f.upstream, "/held?name=lock", ""); err != nil {
				return nil, err
			}
			conns, err := park(p.serialized, "/read", header, "")
			return append(conns, first), err
		}},
		{"weigh-bare-sockets", "", &result.BareSocks, func(p *proxy) ([]net.Conn, error) {
			return park(p.address, "/socket", upgrade, "101")
		}},
		{"weigh-sockets", "async", &result.Socket, func(p *proxy) ([]net.Conn, error) {
			cookies, err := p.begin(1)
			if err != nil {
				return nil, err
			}
			return park(p.address, "/socket", upgrade+"Cookie: "+cookies[0]+"\r\n", "101")
		}},
	} {
		if err := weighOne(ctx, f, c.name, c.durability, c.into, c.park); err != nil {
			return nil, fmt.Errorf("weighing %s: %w", c.name, err)
		}
	}
	return result, nil
}

func weighOne(ctx context.Context, f *fleet, name, durability string, into *float64, do func(*proxy) ([]net.Conn, error)) error {
	p, err := newProxy(f, spec{name: name, durability: durability})
	if err != nil {
		return err
	}
	defer p.stop()
	before, err := p.memory(ctx)
	if err != nil {
		return err
	}
	conns, err := do(p)
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	if err != nil {
		return err
	}
	if err := p.settled(ctx, parkedRequests); err != nil {
		return err
	}
	after, err := p.memory(ctx)
	*into = (after - before) / 1024 / parkedRequests
	return err
}

// park opens connections, one after the other, with a request on each.
func park(address, path, header, answer string) (conns []net.Conn, err error) {
	for n := range parkedRequests {
		conn, err := parkOne(address, strings.Replace(path, "{n}", fmt.Sprint(n), 1), header, answer)
		if err != nil {
			return conns, err
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

// parkOne sends one request, and waits for a status if it is to have one.
func parkOne(address, path, header, answer string) (net.Conn, error) {
	conn, err := net.Dial("tcp", address) //nolint:noctx // loopback
	if err != nil {
		return nil, err
	}
	if _, err = io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: "+address+"\r\n"+header+"\r\n"); err != nil || answer == "" {
		return conn, err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.Contains(line, answer) {
		err = fmt.Errorf("%s answers %s", path, strings.TrimSpace(line))
	}
	return conn, err
}

// memory returns what the proxy's Go runtime has taken for heap and stacks and
// not given back, in bytes.
func (p *proxy) memory(ctx context.Context) (float64, error) {
	text, err := p.metrics(ctx)
	if err != nil {
		return 0, err
	}
	total := 0.0
	for _, name := range []string{"go_memstats_heap_inuse_bytes ", "go_memstats_stack_inuse_bytes "} {
		n, err := find(text, name)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// settled waits until the proxy has goroutines for that many requests.
func (p *proxy) settled(ctx context.Context, requests int) error {
	for {
		text, err := p.metrics(ctx)
		if err != nil {
			return err
		}
		if n, err := find(text, "go_goroutines "); err != nil || int(n) >= requests {
			return err
		}
	}
}
