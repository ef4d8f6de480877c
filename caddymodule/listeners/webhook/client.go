package webhook

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

	"code.dny.dev/ssrf"
)

// errPrivateAddress says that a webhook leads where it must not. It does not
// tell where: the reader of the error need not know the networks behind the proxy.
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
			DisableCompression:     true, // the answer is not read
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// publicInternet knows the special-purpose address registries of IANA. Which
// port a webhook has is the operator's business.
var publicInternet = ssrf.New(ssrf.WithAnyPort())

// refusePrivate is called with the address that a connection is about to be
// made to. It fits net.Dialer.Control.
func refusePrivate(network, address string, conn syscall.RawConn) error {
	if publicInternet.Safe(network, address, conn) != nil {
		return errPrivateAddress
	}
	return nil
}

// publicAddress reports whether an address is one of the public internet.
func publicAddress(ip netip.Addr) bool { return publicInternet.SafeAddr(ip) == nil }

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
