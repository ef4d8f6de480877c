// Package e2e looks at the product from outside: the real binary, real apps in
// several languages, a real browser.
package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"
)

// client is a browser, as far as cookies go.
type client struct {
	t *testing.T
	p *proxy
	http.Client
}

func (p *proxy) client(t *testing.T) *client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, p: p}
	c.Jar, c.Transport = jar, &http.Transport{}
	c.Timeout = 30 * time.Second
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// get returns status, headers and body; header lines are name, value, name, value.
func (c *client) get(path string, header ...string) (int, http.Header, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.p.url(path), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

// want expects a body.
func (c *client) want(path, want string) {
	c.t.Helper()
	if status, _, body := c.get(path); status != http.StatusOK || strings.TrimSpace(body) != want {
		c.t.Fatalf("%s: %d %s, want %s", path, status, body, want)
	}
}

// seen returns what the app is shown, under CGI's names.
func (c *client) seen(path string, header ...string) map[string]string {
	c.t.Helper()
	status, _, body := c.get(path, header...)
	var seen map[string]string
	if err := json.Unmarshal([]byte(body), &seen); err != nil || status != http.StatusOK {
		c.t.Fatalf("%s: %d %s (%v)", path, status, body, err)
	}
	return seen
}
