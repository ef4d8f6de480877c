package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"
)

// secure is a proxy on TLS, by its own certificate authority, in front of an
// app, and a client for each protocol.
type secure struct {
	*proxy
	t          *testing.T
	transports map[string]http.RoundTripper
}

func newSecure(t *testing.T, language string) *secure {
	t.Helper()
	// Caddy itself drops names with other signs than hyphens, unless told otherwise.
	p := newProxy(t, strings.Replace(globals, "auto_https off", `auto_https disable_redirects
	skip_install_trust
	servers {
		expected_underscore_headers Session_Data session_id Session_Anything
		expected_dot_headers Session.Data
	}`, 1)+`
https://localhost:{PORT} {
	bind 127.0.0.1
	tls internal
	route {
		session app
		`+app(t, language)+`
	}
}
`)
	pool, authority := x509.NewCertPool(), filepath.Join(p.dir, "data", "caddy", "pki", "authorities", "local", "root.crt")
	until(t, "its authority exists", p.process, func() bool {
		text, err := os.ReadFile(authority)
		return err == nil && pool.AppendCertsFromPEM(text)
	})
	config := &tls.Config{RootCAs: pool, ServerName: "localhost"}
	h1 := &http.Transport{TLSClientConfig: config.Clone(), TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	h2 := &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true}
	h3 := &http3.Transport{TLSClientConfig: config.Clone()}
	t.Cleanup(h1.CloseIdleConnections)
	t.Cleanup(h2.CloseIdleConnections)
	t.Cleanup(func() { _ = h3.Close() })
	s := &secure{proxy: p, t: t, transports: map[string]http.RoundTripper{"HTTP/1.1": h1, "HTTP/2.0": h2, "HTTP/3.0": h3}}
	until(t, "it has its certificate", p.process, func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url("/none"), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := h1.RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil
	})
	return s
}

func (s *secure) url(path string) string { return fmt.Sprintf("https://localhost:%d%s", s.port, path) }

// send makes one request in one protocol, with the header exactly as given.
func (s *secure) send(proto, method, path string, header http.Header, body io.Reader, trailer http.Header) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url(path), body)
	if err != nil {
		s.t.Fatal(err)
	}
	if req.Host = "localhost:" + fmt.Sprint(s.port); header != nil {
		req.Header = header.Clone()
	}
	req.Trailer = trailer
	resp, err := s.transports[proto].RoundTrip(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", proto, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", proto, path, err)
	}
	if resp.Proto != proto {
		s.t.Fatalf("the answer is in %s, want %s", resp.Proto, proto)
	}
	return resp, string(text)
}

// ours is what an app is told of its session, under CGI's names.
var ours = []string{"HTTP_SESSION_DATA", "HTTP_SESSION_ENDPOINT", "HTTP_SESSION_ID", "HTTP_SESSION_META", "HTTP_SESSION_STATE"}

// TestTrustBoundaryOfEveryProtocol repeats in each protocol that a browser
// speaks, and before apps that are not Go, what a client may not say and may
// not see.
func TestTrustBoundaryOfEveryProtocol(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"python", "node", "php-fpm"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			s := newSecure(t, language)
			for _, proto := range slices.Sorted(maps.Keys(s.transports)) {
				t.Run(proto, func(t *testing.T) { (&secure{s.proxy, t, s.transports}).boundary(proto) })
			}
		})
	}
}

func (s *secure) boundary(proto string) {
	resp, body := s.send(proto, http.MethodGet, "/", nil, nil, nil)
	cookies := resp.Cookies()
	if body != "visit 1" || len(cookies) != 1 || cookies[0].Name != "__Host-app_ticket" || !cookies[0].Secure || !cookies[0].HttpOnly {
		s.t.Fatalf("got %s, cookies %v", body, cookies)
	}
	ticket := cookies[0].Value
	bare := s.seen(proto, http.MethodGet, http.Header{"Cookie": {"__Host-app_ticket=" + ticket}}, nil, nil)
	for _, tc := range []struct {
		name   string
		header http.Header
		body   bool
	}{
		{name: "nothing"},
		{name: "by name", header: http.Header{"Session-Data": {`{"evil":1}`}, "Session-Id": {"evil"}, "Session-State": {"evil"}, "Session-Meta": {"evil"}, "Session-Endpoint": {"http://evil"}}},
		{name: "in other letters", header: http.Header{"session-data": {`{"evil":1}`}, "SESSION-ID": {"evil"}, "sEssion-sTate": {"evil"}}},
		{name: "by an alias", header: http.Header{"Session_Data": {`{"evil":1}`}, "Session.Data": {`{"evil":1}`}, "session_id": {"evil"}, "Session-Meta_": {"evil"}}},
		{name: "by a name that does not exist yet", header: http.Header{"Session-Principal": {"evil"}, "Session-Anything": {"evil"}, "Session_Anything": {"evil"}}},
		{name: "several times", header: http.Header{"Session-Data": {`{"evil":1}`, `{"evil":2}`}, "Session-Id": {"evil", "evil"}}},
		{name: "by a write", header: http.Header{"Session-Patch": {`{"evil":1}`}, "Session-Action": {"destroy"}, "Session-Add": {`{"evil":1}`}}},
		{name: "as a trailer", body: true},
	} {
		if tc.header == nil {
			tc.header = http.Header{}
		}
		tc.header["Cookie"] = []string{"theme=dark; __Host-app_ticket=" + ticket + "; app_ticket=" + ticket}
		if proto == "HTTP/1.1" {
			tc.header["Connection"] = []string{"keep-alive, Session-Data, Session-Id, Session-State"}
		}
		var in io.Reader
		var trailer http.Header
		method := http.MethodGet
		if tc.body { // of unknown length, so that there can be trailers
			method, in = http.MethodPost, io.MultiReader(strings.NewReader("body"))
			trailer = http.Header{"Session-Data": {`{"evil":1}`}, "Session-Principal": {"evil"}, "X-Sum": {"1"}}
		}
		got := s.seen(proto, method, tc.header, in, trailer)
		if strings.Contains(strings.ToLower(fmt.Sprint(got)), "evil") || strings.Contains(fmt.Sprint(got), ticket) {
			s.t.Errorf("%s: the app got %v", tc.name, got)
		}
		var names []string
		for name := range got {
			if strings.HasPrefix(name, "HTTP_SESSION") {
				names = append(names, name)
			}
		}
		if slices.Sort(names); !slices.Equal(names, ours) || got["HTTP_COOKIE"] != "theme=dark" {
			s.t.Errorf("%s: the app got %v", tc.name, got)
		}
		for _, name := range []string{"HTTP_SESSION_DATA", "HTTP_SESSION_ID", "HTTP_SESSION_STATE"} {
			if got[name] != bare[name] || got["HTTP_SESSION_STATE"] != "active" {
				s.t.Errorf("%s: the app got %v, without that %v", tc.name, got, bare)
			}
		}
	}
	for name, header := range map[string]http.Header{
		"a cookie without the prefix": {"Cookie": {"app_ticket=" + ticket}},
		"a forged ticket":             {"Cookie": {"__Host-app_ticket=" + strings.Repeat("A", len(ticket))}},
		"a ticket as a header":        {"Session-Ticket": {ticket}, "Authorization": {"Bearer " + ticket}},
	} {
		if got := s.seen(proto, http.MethodGet, header, nil, nil); got["HTTP_SESSION_STATE"] != "new" || got["HTTP_SESSION_DATA"] != "{}" || strings.Contains(fmt.Sprint(got), ticket) {
			s.t.Errorf("%s: the app got %v", name, got)
		}
	}
	cookie := http.Header{"Cookie": {"__Host-app_ticket=" + ticket}}
	for _, path := range []string{"/", "/add", "/endpoint", "/login?user=zoe", "/bad", "/fail"} {
		resp, body := s.send(proto, http.MethodGet, path, cookie, nil, nil)
		for name := range resp.Header {
			if strings.HasPrefix(name, "Session-") {
				s.t.Errorf("%s: the client got %s", path, name)
			}
		}
		if want := map[string]int{"/bad": 502, "/fail": 500}[path]; want != 0 && resp.StatusCode != want || want == 0 && resp.StatusCode != http.StatusOK {
			s.t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
		for _, c := range resp.Cookies() {
			cookie = http.Header{"Cookie": {c.Name + "=" + c.Value}}
		}
	}
	if got := s.seen(proto, http.MethodGet, cookie, nil, nil); !strings.Contains(got["HTTP_SESSION_DATA"], `"visits":2,"clicks":1`) || !strings.Contains(got["HTTP_SESSION_META"], `"principal":"zoe"`) {
		s.t.Errorf("in the end the app got %v", got)
	}
}

// seen returns what the app is shown, under CGI's names.
func (s *secure) seen(proto, method string, header http.Header, body io.Reader, trailer http.Header) map[string]string {
	s.t.Helper()
	resp, text := s.send(proto, method, "/raw", header, body, trailer)
	var seen map[string]string
	if err := json.Unmarshal([]byte(text), &seen); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %d %s (%v)", proto, resp.StatusCode, text, err)
	}
	return seen
}
