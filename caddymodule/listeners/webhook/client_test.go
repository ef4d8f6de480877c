package webhook

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
)

func TestPublicAddress(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "100.63.255.255": true, "100.128.0.0": true, "172.32.0.1": true, "223.255.255.255": true,
		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "100.64.0.1": false, "100.127.255.255": false, "127.0.0.1": false,
		"127.1.2.3": false, "169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false,
		"192.0.0.192": false, "192.0.2.1": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false,
		"224.0.0.1": false, "239.1.1.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"192.31.196.1": false, "192.52.193.1": false, "192.88.99.1": false, "192.175.48.1": false, "2620:4f:8000::1": false,
		"2606:4700:4700::1111": true, "2001:4860:4860::8888": true, "2a00::1": true,
		"::": false, "::1": false, "fe80::1": false, "fec0::1": false, "fc00::1": false, "fd00:ec2::254": false, "ff02::1": false, "ff0e::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:8.8.8.8": false, "::127.0.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "2002:7f00:1::": false, "2001::1": false, "2001:db8::1": false, "3fff::1": false, "100::1": false, "4000::1": false,
		"2606:4700:4700::1111%eth0": false,
	} {
		if got := publicAddress(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is public: %v", address, got)
		}
	}
	for _, address := range []string{"", "8.8.8.8", "example.com:443", "/run/hook.sock"} {
		if err := refusePrivate("tcp4", address, nil); err == nil {
			t.Errorf("%q can be dialled", address)
		}
	}
	if err := refusePrivate("tcp", "8.8.8.8:443", nil); err == nil {
		t.Error("an address of an unknown family can be dialled")
	}
	if err := refusePrivate("tcp4", "8.8.8.8:443", nil); err != nil {
		t.Error(err)
	}
}

// visits is a server on this machine that counts connections.
func visits(t *testing.T) (*httptest.Server, *atomic.Int64) {
	n := new(atomic.Int64)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, n
}

// TestWebhookIsNotLedAstray gives a name an address of this machine.
func TestWebhookIsNotLedAstray(t *testing.T) {
	server, connections := visits(t)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	hook := &Webhook{URL: "https://hooks.example:" + port + "/hunter2", Secret: hookSecret}
	provision(t, hook)
	dialer := &net.Dialer{Control: refusePrivate, Resolver: liar(net.IPv4(127, 0, 0, 1))}
	hook.client.Transport.(*http.Transport).DialContext = dialer.DialContext
	err = hook.Handle(t.Context(), anEnd())
	if err == nil || !strings.Contains(err.Error(), errPrivateAddress.Error()) || errors.Is(err, event.ErrPermanent) {
		t.Errorf("got %v", err)
	}
	keepsQuiet(t, err)

	// A name that the machine itself knows, with the client as it is.
	hook = &Webhook{URL: "https://localhost:" + port, Secret: hookSecret}
	provision(t, hook)
	if err := hook.Handle(t.Context(), anEnd()); err == nil || !strings.Contains(err.Error(), errPrivateAddress.Error()) {
		t.Errorf("got %v", err)
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections to this machine", n)
	}

	// Without the guard the same name leads there, so that it was the guard.
	hook = &Webhook{URL: "https://hooks.example:" + port, Secret: hookSecret, AllowPrivate: true}
	provision(t, hook)
	dialer = &net.Dialer{Resolver: liar(net.IPv4(127, 0, 0, 1))}
	hook.client.Transport.(*http.Transport).DialContext = dialer.DialContext
	err = hook.Handle(t.Context(), anEnd())
	if err == nil || !strings.Contains(err.Error(), "its certificate") {
		t.Errorf("got %v", err)
	}
	if connections.Load() == 0 {
		t.Error("the name does not lead to this machine")
	}
}

// liar is a resolver that knows one address for every name.
func liar(ip net.IP) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			for {
				var size [2]byte // as DNS over TCP (RFC 1035 §4.2.2)
				if _, err := io.ReadFull(server, size[:]); err != nil {
					return
				}
				message := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(server, message); err != nil {
					return
				}
				if _, err := server.Write(lie(message, ip)); err != nil {
					return
				}
			}
		}()
		return client, nil
	}}
}

// lie answers a query of one question: with the address if it asks for one of
// IPv4, and otherwise with none.
func lie(query []byte, ip net.IP) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5
	answer := append([]byte{}, query[:end]...)
	copy(answer[2:], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}) // an answer, one question
	if query[end-3] == 1 {                                       // A
		answer[7] = 1
		answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		answer = append(answer, ip.To4()...)
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)
}

func TestWebhookFailuresOfConnections(t *testing.T) {
	tls, _ := visits(t)
	clear := httptest.NewServer(http.NotFoundHandler())
	defer clear.Close()
	for _, tc := range []struct{ name, url, want string }{
		{"a certificate of nobody", tls.URL, "its certificate"},
		{"no TLS", strings.Replace(clear.URL, "http:", "https:", 1), "the answer is no HTTP"},
		{"TLS for clear HTTP", strings.Replace(tls.URL, "https:", "http:", 1), "answers 400"},
		{"nobody listens", "https://" + caddytest.FreeAddress(t), "connection refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := newHook(t, tc.url).Handle(t.Context(), anEnd())
			if err == nil || !strings.Contains(err.Error(), tc.want) || errors.Is(err, event.ErrPermanent) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			keepsQuiet(t, err)
		})
	}
	if newHook(t, tls.URL).client.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy of the environment is used")
	}
}
