package command

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/sessionproxy/sessionproxy/caddymodule/adminapi"
)

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
	var s adminapi.StatsView
	err = d.client.read(ctx, adminRequest{method: http.MethodGet, path: "/sessions/stats"}, &s)
	for _, m := range s.Managers {
		n += m.Removed
	}
	return n, err
}
