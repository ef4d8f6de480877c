package caddymodule

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// errPrivateAddress says that a webhook leads where it must not. It does not
// tell where: who sees the error need not know the networks behind the proxy.
var errPrivateAddress = errors.New("its address is not of the public internet; say allow_private if it is meant")

// newWebhookClient returns a client that follows no redirect, uses no proxy,
// keeps no cookie, and unless private reaches public addresses alone.
func newWebhookClient(private bool) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if !private {
		// After the name was looked up, for each address that is tried: a
		// name that leads elsewhere the next time gains nothing.
		dialer.Control = refusePrivate
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    10 * time.Second,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 16 << 10,
			DisableCompression:     true, // nobody reads the answer
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// refusePrivate is called with the address that a connection is about to be
// made to. It fits net.Dialer.Control.
func refusePrivate(network, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" || !publicAddress(to.Addr()) {
		return errPrivateAddress
	}
	return nil
}

// special are the networks within the ordinary unicast ones that do not lead
// to a host of the public internet, or that hide which one they lead to, after
// the special-purpose address registries of RFC 6890.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("10.0.0.0/8"),      // private
	netip.MustParsePrefix("100.64.0.0/10"),   // shared, behind carriers' translators
	netip.MustParsePrefix("127.0.0.0/8"),     // loopback
	netip.MustParsePrefix("169.254.0.0/16"),  // link-local
	netip.MustParsePrefix("172.16.0.0/12"),   // private
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
	netip.MustParsePrefix("192.168.0.0/16"),  // private
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("224.0.0.0/3"),     // multicast, reserved, broadcast
	netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4
	netip.MustParsePrefix("3fff::/20"),       // documentation
}

// globalUnicast6 is what IANA gives out of IPv6. Outside of it are loopback,
// unique local, link-local, multicast, mapped and translated IPv4 addresses.
var globalUnicast6 = netip.MustParsePrefix("2000::/3")

// publicAddress reports whether an address is one of the public internet.
func publicAddress(ip netip.Addr) bool {
	if ip.Zone() != "" || !ip.Is4() && !globalUnicast6.Contains(ip) {
		return false
	}
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// webhookFailure says why there was no answer, without the URL and without a
// byte of what the other side has sent: errors are kept and shown.
func webhookFailure(err error) error {
	var lookup *net.DNSError
	var certificate *tls.CertificateVerificationError
	var op *net.OpError
	switch {
	case errors.Is(err, errPrivateAddress):
		return errPrivateAddress
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	case errors.As(err, &lookup):
		return fmt.Errorf("looking up its name: %s", lookup.Err)
	case errors.As(err, &certificate):
		return errors.New("its certificate is not for this name, not trusted, or not valid now")
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Errorf("connecting: %w", op.Err)
	}
	return errors.New("the connection broke, or the answer is no HTTP")
}
