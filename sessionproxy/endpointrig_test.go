package sessionproxy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// endpointRig is a rig whose app has an endpoint.
type endpointRig struct {
	*rig
	endpoint *sessionproxy.Endpoint
	calls    *httptest.Server
}

func newEndpointRig(t *testing.T, change func(*sessionproxy.Config, *session.Policy)) *endpointRig {
	t.Helper()
	e := &endpointRig{}
	e.calls = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.endpoint.ServeHTTP(w, r) }))
	t.Cleanup(e.calls.Close)
	host := strings.TrimPrefix(e.calls.URL, "http://")
	e.rig = newRig(t, func(c *sessionproxy.Config, p *session.Policy) {
		e.endpoint = sessionproxy.NewEndpoint(sessionproxy.EndpointConfig{URL: e.calls.URL, Hosts: []string{host}, Metrics: c.Metrics})
		c.Endpoint = e.endpoint
		if change != nil {
			change(c, p)
		}
	})
	return e
}

// answer is what a call of the endpoint gave.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) tag() string { return a.header.Get("ETag") }

// call is one call of an app; header lines are name, value, name, value.
func (e *endpointRig) call(method, url, body string, header ...string) answer {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := e.calls.Client().Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

func endpointOf(r *http.Request) string { return r.Header.Get("Session-Endpoint") }

// problemOf returns the type of a problem document.
func problemOf(a answer) string {
	var p struct {
		Type   string
		Status int
	}
	if a.header.Get("Content-Type") != "application/problem+json" || json.Unmarshal([]byte(a.body), &p) != nil || p.Status != a.status {
		return "no problem document"
	}
	return p.Type
}
