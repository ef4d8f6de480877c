package caddymodule_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestErrorsBeforeAnyRouteMeetClosedGuards has Caddy refuse a request by itself,
// for a host that its connection is not for, so that no route gets it.
func TestErrorsBeforeAnyRouteMeetClosedGuards(t *testing.T) {
	s := caddytest.NewSite(t)
	cert, key, pool := certificate(t)
	_, port, _ := net.SplitHostPort(s.Address)
	s.Load(caddytest.Adapt(t, fmt.Sprintf(`{
		admin off
		persist_config off
		auto_https off
		storage file_system %s
		sessions {
			%s
			endpoint off
		}
		servers {
			strict_sni_host on
		}
	}
	https://localhost:%s, https://127.0.0.1:%[3]s {
		tls %s %s
		session shop
		respond ok
		handle_errors {
			@anon expression `+"`"+`{http.session.principal} == ""`+"`"+`
			respond @anon "login" 401
			respond "secret"
		}
	}`, s.Storage, s.Store(s.Dir, "async"), port, cert, key)))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}}
	defer transport.CloseIdleConnections()
	for host, want := range map[string]string{"localhost": "200 ok", "127.0.0.1": "401 login"} {
		r, err := http.NewRequest(http.MethodGet, "https://127.0.0.1:"+port+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := fmt.Sprint(resp.StatusCode, " ", string(body)); got != want {
			t.Errorf("host %s: %s, want %s", host, got, want)
		}
	}
}
