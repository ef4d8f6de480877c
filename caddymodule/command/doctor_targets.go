package command

import (
	"net"
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
