package caddymodule_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// jarApp is an app that knows nothing of sessions: it notes the Cookie lines
// that it is sent, and answers with the Set-Cookie lines that the test wants.
type jarApp struct {
	t       *testing.T
	address string

	mu     sync.Mutex
	seen   []string
	lines  []string
	status int
}

func newJarApp(t *testing.T) *jarApp {
	a := &jarApp{t: t}
	a.address = caddytest.App(t, a.ServeHTTP)
	return a
}

func (a *jarApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = r.Header["Cookie"]
	for _, line := range a.lines {
		w.Header().Add("Set-Cookie", line)
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = io.WriteString(w, "page")
}

// cookies returns the one Cookie line of the last request.
func (a *jarApp) cookies() string {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.seen) > 1 {
		a.t.Errorf("the app got %d Cookie lines: %q", len(a.seen), a.seen)
	}
	return strings.Join(a.seen, "|")
}

// jarBrowser is a browser in front of such an app.
type jarBrowser struct {
	*caddytest.Visitor
	app *jarApp
}

// pageHeader is that of a browser that opens a page, and scriptHeader of one
// whose script fetches something.
var (
	pageHeader   = []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "same-origin"}
	scriptHeader = []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "same-origin"}
)

// jarSite loads a site whose app has a jar; the routes have %s for its address.
func newJarSite(t *testing.T, routes string) (*caddytest.Site, *jarBrowser) {
	t.Helper()
	s, a := caddytest.NewSite(t), newJarApp(t)
	s.Load(s.Config("", "metrics", "handle /metrics {\n metrics\n}\n"+strings.ReplaceAll(routes, "APP", a.address)))
	return s, &jarBrowser{s.Visitor(), a}
}

// another returns another browser in front of the same app.
func (b *jarBrowser) another(s *caddytest.Site) *jarBrowser { return &jarBrowser{s.Visitor(), b.app} }

// asks makes a request that the app answers with these Set-Cookie lines. Those
// that the browser got are returned, but for the ticket's.
func (b *jarBrowser) asks(method, path string, header []string, lines ...string) (*http.Response, []string) {
	b.T.Helper()
	b.app.mu.Lock()
	b.app.lines = lines
	b.app.mu.Unlock()
	r, err := http.NewRequest(method, b.Base+path, nil)
	if err != nil {
		b.T.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := b.Transport.RoundTrip(b.withCookies(r))
	if err != nil {
		b.T.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		b.T.Fatal(err)
	}
	b.Jar.SetCookies(r.URL, resp.Cookies())
	var own []string
	for _, line := range resp.Header["Set-Cookie"] {
		if !strings.Contains(line, "_ticket=") {
			own = append(own, line)
		}
	}
	return resp, own
}

// withCookies adds those of the browser, as it would: after those that the test sets.
func (b *jarBrowser) withCookies(r *http.Request) *http.Request {
	for _, c := range b.Jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	return r
}

// sends expects the cookies that the app gets with the browser's next script
// request.
func (b *jarBrowser) sends(path, want string) {
	b.T.Helper()
	resp, _ := b.asks(http.MethodGet, path, scriptHeader)
	if resp.StatusCode != http.StatusOK {
		b.T.Errorf("%s: %s", path, resp.Status)
	}
	if got := b.app.cookies(); got != want {
		b.T.Errorf("%s: the app got the cookies %q, want %q", path, got, want)
	}
}

// ticket returns that of a manager.
func (b *jarBrowser) ticket(path, manager string) string {
	b.T.Helper()
	for _, c := range b.Jar.Cookies(b.URL().JoinPath(path)) {
		if c.Name == manager+"_ticket" {
			return c.Value
		}
	}
	return ""
}

// jarCount returns how many cookies had a fate in the process so far.
func jarCount(v *caddytest.Visitor, manager, kind string) int {
	v.T.Helper()
	return sample(v, `caddy_sessions_cookies_total{kind="`+kind+`",manager="`+manager+`"}`)
}

// sample returns the value of one series; 0 if there is none.
func sample(v *caddytest.Visitor, series string) int {
	v.T.Helper()
	_, text := v.Fetch("/metrics")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				v.T.Fatal(err)
			}
			return int(n)
		}
	}
	return 0
}
