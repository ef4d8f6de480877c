package caddymodule_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// certificate makes a certificate for this machine, and returns its files.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return cert, key, pool
}

// tlsSite loads a site on TLS, and returns a transport to it for each protocol.
func tlsSite(t *testing.T, s *caddytest.Site, routes string) (h1, h2 *http.Transport, h3 *http3.Transport) {
	t.Helper()
	cert, key, pool := certificate(t)
	_, port, _ := net.SplitHostPort(s.Address)
	s.Load(caddytest.Adapt(t, fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	grace_period 10s
	storage file_system %s
	sessions {
		%s
		endpoint off
	}
}
https://:%s {
	bind 127.0.0.1
	tls %s %s
	%s
}
`, s.Storage, s.Store(s.Dir, "async"), port, cert, key, routes)))

	config := &tls.Config{RootCAs: pool}
	h1 = &http.Transport{TLSClientConfig: config.Clone(), TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	h2 = &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true}
	h3 = &http3.Transport{TLSClientConfig: config.Clone()}
	t.Cleanup(h1.CloseIdleConnections)
	t.Cleanup(h2.CloseIdleConnections)
	t.Cleanup(func() { _ = h3.Close() })
	return h1, h2, h3
}

// TestTrustBoundaryOfEveryProtocol repeats what a client may not do, and what
// it may not see, in each protocol that a browser speaks.
func TestTrustBoundaryOfEveryProtocol(t *testing.T) {
	s := caddytest.NewSite(t)
	upstream := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/begin":
			w.Header().Set("Session-Data", `{"mine":1}`)
		case "/leaks":
			w.Header().Set("Trailer", "Session-Patch, X-Sum")
			for _, name := range []string{"Session-Id", "Session-Meta", "Session-Endpoint"} {
				w.Header().Set(name, "leak")
			}
			w.Header().Add("Set-Cookie", "__Host-shop_ticket=planted; Secure")
			w.Header().Add("Set-Cookie", "own=1")
			_, _ = io.WriteString(w, "body")
			w.Header().Set("Session-Patch", `{"late":1}`)
			w.Header().Set("X-Sum", "7")
		default:
			caddytest.Dump(w, r)
		}
	})
	h1, h2, h3 := tlsSite(t, s, `session shop {
		ticket cookie
		ticket header X-Session
		ticket bearer
	}
	reverse_proxy `+upstream)
	for _, protocol := range []struct {
		name      string
		transport http.RoundTripper
		major     int
	}{{"HTTP/1.1", h1, 1}, {"HTTP/2", h2, 2}, {"HTTP/3", h3, 3}} {
		t.Run(protocol.name, func(t *testing.T) {
			send := func(path string, change func(*http.Request)) (*http.Response, string) {
				t.Helper()
				r, err := http.NewRequest(http.MethodPost, "https://"+s.Address+path, io.NopCloser(strings.NewReader("body")))
				if err != nil {
					t.Fatal(err)
				}
				if change != nil {
					change(r)
				}
				resp, err := protocol.transport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				if resp.ProtoMajor != protocol.major {
					t.Fatalf("the answer is in %s", resp.Proto)
				}
				return resp, string(body)
			}
			resp, _ := send("/begin", nil)
			cookies := resp.Cookies()
			if len(cookies) != 1 || cookies[0].Name != "__Host-shop_ticket" || !cookies[0].Secure || !cookies[0].HttpOnly {
				t.Fatalf("cookies %v", cookies)
			}
			ticket := cookies[0].Value

			_, body := send("/", func(r *http.Request) {
				r.Header = http.Header{
					"Cookie":       {"a=1; __Host-shop_ticket=" + ticket + "; shop_ticket=" + ticket},
					"Session-Data": {`{"admin":1}`}, "session-id": {"me"}, "Session_State": {"active"}, "Session.Principal": {"root"},
				}
				r.Trailer = http.Header{"Session-Data": {`{"admin":1}`}, "X-Sum": {"1"}}
			})
			var got map[string]http.Header
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(body, err)
			}
			names := slices.Sorted(maps.Keys(got["header"]))
			names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(strings.ToLower(n), "session") })
			if !slices.Equal(names, []string{"Session-Data", "Session-Id", "Session-Meta", "Session-State"}) {
				t.Errorf("the app got %q", names)
			}
			if h := got["header"]; h.Get("Session-Data") != `{"mine":1}` || h.Get("Cookie") != "a=1" || len(got["trailer"]) > 0 {
				t.Errorf("the app got %v, trailers %v", h, got["trailer"])
			}
			if _, body := send("/", func(r *http.Request) { r.Header.Set("Cookie", "shop_ticket="+ticket) }); !strings.Contains(body, `"Session-State":["new"]`) {
				t.Errorf("a cookie without the prefix counts on TLS: %s", body)
			}

			resp, _ = send("/leaks", func(r *http.Request) { r.Header.Set("Cookie", "__Host-shop_ticket="+ticket) })
			for name := range resp.Header {
				if strings.HasPrefix(name, "Session-") {
					t.Errorf("the client got %s", name)
				}
			}
			if lines := resp.Header.Values("Set-Cookie"); len(lines) != 1 || lines[0] != "own=1" {
				t.Errorf("the client got the cookies %q", lines)
			}
			if resp.Trailer.Get("Session-Patch") != "" || protocol.major < 3 && resp.Trailer.Get("X-Sum") != "7" {
				t.Errorf("the client got the trailers %v", resp.Trailer)
			}
			if _, body := send("/", func(r *http.Request) { r.Header.Set("Cookie", "__Host-shop_ticket="+ticket) }); !strings.Contains(body, `{\"mine\":1}`) {
				t.Errorf("a trailer wrote: %s", body)
			}

			for _, c := range []struct{ header, prefix, back string }{{"X-Session", "", "X-Session"}, {"Authorization", "Bearer ", "Session-Ticket"}} {
				resp, _ := send("/begin", func(r *http.Request) { r.Header.Set(c.header, strings.TrimSpace(c.prefix)) })
				ticket := resp.Header.Get(c.back)
				if ticket == "" || len(resp.Cookies()) > 0 {
					t.Errorf("asked for by %s: %v", c.header, resp.Header)
				}
				_, body := send("/", func(r *http.Request) {
					r.Header = http.Header{c.header: {c.prefix + ticket}}
					r.Trailer = http.Header{"X-Session": {ticket}}
				})
				if !strings.Contains(body, `{\"mine\":1}`) || strings.Contains(body, ticket) {
					t.Errorf("by %s the app got %s", c.header, body)
				}
			}
		})
	}
}
