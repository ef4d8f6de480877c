package caddymodule

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// probed is an app that is asked itself.
type probed struct {
	name   string // as configured, or as named by the operator
	url    *url.URL
	socket string // a Unix socket, if it is one
	inline int64  // the most data that a header for it holds
}

// targets returns the apps to ask: those that the operator names, else those
// of the configuration that are on this machine.
func (d *doctor) targets(m *siteMap) (list []probed, err error) {
	for _, text := range d.upstreams {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, usageError("--upstream is an address such as http://127.0.0.1:3000/, not %q", text)
		}
		inline := sessionRoute{}.inline()
		if m != nil && m.withSession(u.Host) {
			inline = m.inline(u.Host)
		}
		list = append(list, probed{name: text, url: u, inline: inline})
	}
	if m == nil || len(d.upstreams) > 0 {
		return list, nil
	}
	const check, remedy = "header limit", "name the app with --upstream to ask it"
	var seen []string
	for _, p := range m.proxied {
		if !m.withSession(p.dial) || slices.Contains(seen, p.dial) {
			continue
		}
		seen = append(seen, p.dial)
		target := probed{name: p.dial, url: &url.URL{Scheme: "http", Host: p.dial, Path: "/"}, inline: m.inline(p.dial)}
		socket, isSocket := strings.CutPrefix(p.dial, "unix/")
		switch {
		case p.kind != "http":
			d.found(check, stateSkip, "", "%s speaks %s, and is not asked", p.dial, p.kind)
		case p.tls:
			d.found(check, stateSkip, remedy, "%s speaks TLS, and is not asked", p.dial)
		case isSocket:
			target.socket, target.url.Host = socket, "localhost"
			list = append(list, target)
		case !d.local(p.dial):
			d.found(check, stateSkip, remedy, "%s may be another machine, and is not asked", p.dial)
		default:
			list = append(list, target)
		}
	}
	return list, nil
}

// outsideAddresses returns the addresses at which other machines may reach this one.
func outsideAddresses() (all []netip.Addr, err error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
				all = append(all, ip.Unmap())
			}
		}
	}
	return all, nil
}

// local reports whether an address is surely one of this machine. Names are
// not looked up, but for localhost.
func (d *doctor) local(dial string) bool {
	host, _, err := net.SplitHostPort(dial)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	own, err := d.outside()
	return ip.IsLoopback() || err == nil && slices.Contains(own, ip.Unmap())
}

// get makes one request, on a connection of its own, and returns the status.
// No redirect is followed.
func (d *doctor) get(ctx context.Context, p probed, header http.Header) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url.String(), nil)
	if err != nil {
		return 0, "", err
	}
	if header != nil {
		req.Header = header
	}
	transport := &http.Transport{DisableKeepAlives: true}
	if p.socket != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", p.socket)
		}
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // a page that breaks off has answered
	for name, values := range resp.Header {
		text = fmt.Appendf(text, "\n%s: %s", name, strings.Join(values, " "))
	}
	return resp.StatusCode, string(text), nil
}

// dataHeader returns a Session-Data header of that many bytes.
func dataHeader(size int) http.Header {
	const frame = `{"doctor":""}`
	return http.Header{"Session-Data": {`{"doctor":"` + strings.Repeat("x", max(size-len(frame), 0)) + `"}`}}
}

// Sizes between which the limit of an app is looked for, and how exactly.
const leastHeader, mostHeader, headerStep = 1 << 10, 128 << 10, 1 << 10

// headerLimit finds the largest Session-Data header that the app takes, to a
// KiB: mostHeader if it takes more, 0 if it does not take leastHeader. answer
// says how it refuses more.
func (d *doctor) headerLimit(ctx context.Context, p probed) (limit int, answer string, err error) {
	usual, _, err := d.get(ctx, p, dataHeader(0))
	if err != nil {
		return 0, "", err
	}
	takes := func(size int) (bool, error) {
		status, _, err := d.get(ctx, p, dataHeader(size))
		var op *net.OpError
		switch {
		case errors.As(err, &op) && op.Op == "dial", errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil:
			return false, err // that says nothing of the header
		case err != nil:
			answer = "closes the connection"
			return false, nil
		case status != usual && status >= http.StatusBadRequest:
			answer = fmt.Sprintf("answers %d", status)
			return false, nil
		}
		return true, nil
	}
	ok, err := takes(mostHeader)
	if err != nil || ok {
		return mostHeader, "", err
	}
	if ok, err = takes(leastHeader); err != nil || !ok {
		return 0, answer, err
	}
	low, high := leastHeader, mostHeader // it takes low, and not high
	for high-low > headerStep {
		middle := (low + high) / 2 / headerStep * headerStep
		if ok, err = takes(middle); err != nil {
			return 0, answer, err
		}
		if ok {
			low = middle
		} else {
			high = middle
		}
	}
	return low, answer, nil
}

// room is for the other headers of a request, which many servers count
// together: cookies of the browser, Session-Meta and Session-Endpoint.
const room = 4 << 10

func (d *doctor) checkHeaderLimit(ctx context.Context, p probed) {
	const check = "header limit"
	if p.inline == 0 {
		d.found(check, stateOK, "", "%s gets no data in headers", p.name)
		return
	}
	limit, answer, err := d.headerLimit(ctx, p)
	inline := bytesOf(p.inline)
	lower := max(int64(limit)-room, int64(limit)/2) / 1024
	remedy := fmt.Sprintf("set `inline_limit %dKiB`, or let the app's server take more header", lower)
	if lower == 0 {
		remedy = "set `forward endpoint`, or let the app's server take more header"
	}
	switch {
	case err != nil:
		d.found(check, stateFail, "start the app, or name where it is with --upstream", "%s does not answer: %v", p.name, err)
	case int64(limit) < p.inline:
		d.found(check, stateFail, remedy, "%s takes %s of Session-Data and then %s; inline_limit is %s, so that larger sessions break it", p.name, bytesOf(int64(limit)), answer, inline)
	case limit < mostHeader && int64(limit) < p.inline+room:
		d.found(check, stateWarn, remedy, "%s takes %s of Session-Data and then %s; inline_limit is %s, which leaves little for cookies", p.name, bytesOf(int64(limit)), answer, inline)
	case limit == mostHeader:
		d.found(check, stateOK, "", "%s takes at least %s of Session-Data; inline_limit is %s", p.name, bytesOf(int64(limit)), inline)
	default:
		d.found(check, stateOK, "", "%s takes %s of Session-Data; inline_limit is %s", p.name, bytesOf(int64(limit)), inline)
	}
}

// checkReach asks for the app at the other addresses of this machine, at
// which others can reach it. It dials no other machine.
func (d *doctor) checkReach(ctx context.Context, p probed) {
	const check = "reachable without the proxy"
	const remedy = "let the app listen on 127.0.0.1 or a Unix socket, or keep others out with a firewall: it believes the Session-* headers of whoever calls"
	if p.socket != "" {
		d.found(check, stateOK, "", "%s is a Unix socket", p.name)
		return
	}
	if !d.local(net.JoinHostPort(p.url.Hostname(), "0")) {
		d.found(check, stateSkip, "try it from a third machine", "%s may be another machine", p.name)
		return
	}
	own, err := d.outside()
	if err != nil {
		d.found(check, stateSkip, "", "the addresses of this machine are unknown: %v", err)
		return
	}
	port := p.url.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[p.url.Scheme]
	}
	var reached []string
	for _, ip := range own {
		other := p
		at := *p.url
		at.Host = net.JoinHostPort(ip.String(), port)
		other.url = &at
		if _, _, err := d.get(ctx, other, nil); err == nil {
			reached = append(reached, at.Host)
		}
	}
	if len(reached) > 0 {
		d.found(check, stateWarn, remedy, "%s answers at %s, too", p.name, strings.Join(reached, ", "))
		return
	}
	d.found(check, stateOK, "", "%s answers on the loopback interface alone", p.name)
}

// spoofs is how many headers checkStripping pretends with: more than real
// clients do meanwhile.
const spoofs = 32

// checkStripping sends headers through the proxy that pretend to be of a
// session. The proxy counts what it removes; an app that shows one of them in
// its answer has got it.
func (d *doctor) checkStripping(ctx context.Context) {
	const check = "spoofed headers, sent"
	if d.url == "" {
		d.found(check, stateSkip, "say --url to send some through the proxy", "not tried")
		return
	}
	u, err := url.Parse(d.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		d.found(check, stateFail, "", "--url is an address such as http://localhost:8080/, not %q", d.url)
		return
	}
	marker := rand.Text()
	data := []string{`{"doctor":"` + marker + `"}`}
	header := http.Header{"Session-Id": {marker}, "Session-Data": data}
	for i := len(header); i < spoofs; i++ {
		header.Set(fmt.Sprintf("Session-Doctor-%d", i), marker)
	}
	header["Session_Data"] = data // many apps take it for the same; Caddy may drop it by itself
	before, errBefore := d.removed(ctx)
	status, answer, err := d.get(ctx, probed{url: u}, header)
	after, errAfter := d.removed(ctx)
	switch {
	case err != nil:
		d.found(check, stateFail, "", "%s does not answer: %v", d.url, err)
	case strings.Contains(answer, marker):
		d.found(check, stateFail, "put `session` or `session off` on this route, before what answers", "the answer of %s shows a spoofed header: it has arrived", d.url)
	case errBefore != nil || errAfter != nil:
		d.found(check, stateWarn, "say --address", "%s answers %d and shows none of them; whether they were removed only the admin endpoint tells", d.url, status)
	case after-before >= spoofs:
		d.found(check, stateOK, "", "%s removes them: %d were sent and counted", d.url, spoofs)
	default:
		d.found(check, stateWarn, "try an address with `session`; routes with `session off` remove them without counting", "%s answers %d, and the proxy has not counted the headers as removed", d.url, status)
	}
}

// removed returns how many headers of requests the proxy has removed.
func (d *doctor) removed(ctx context.Context) (n int64, err error) {
	var s statsView
	err = d.client.read(ctx, adminRequest{method: http.MethodGet, path: "/sessions/stats"}, &s)
	for _, m := range s.Managers {
		n += m.Removed
	}
	return n, err
}
