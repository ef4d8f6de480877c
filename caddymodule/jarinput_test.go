package caddymodule_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

const plainJar = "handle {\n session shop {\n cookies {\n pass theme\n }\n }\n reverse_proxy APP\n}"

// TestJarTakesWhatAppsSet has an app set cookies of every bad kind, through
// Caddy: the response passes, and the jar has what a browser would have.
func TestJarTakesWhatAppsSet(t *testing.T) {
	s, first := newJarSite(t, plainJar)
	value := strings.Repeat("x", 8<<10-1)
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf("c%d=%d; HttpOnly", i, i)
	}
	var last []string
	for i := range 128 {
		last = append(last, fmt.Sprintf("c%d=%d", 872+i, 872+i))
	}
	for _, c := range []struct {
		name  string
		lines []string
		want  string   // that the app is sent then
		given []string // to the browser
		kind  string   // that is counted
	}{
		{"8 KiB", []string{"a=" + value + "; HttpOnly"}, "a=" + value, nil, "taken"},
		{"a byte more", []string{"a=" + value + "x; HttpOnly"}, "", nil, "dropped_size"},
		{"a readable one of a byte more", []string{"a=" + value + "x"}, "", nil, "dropped_size"},
		{"1 MiB", []string{"a=" + strings.Repeat("x", 1<<20) + "; HttpOnly", "b=2; HttpOnly"}, "b=2", nil, "dropped_size"},
		{"1 MiB of attributes", []string{"a=1; HttpOnly; X=" + strings.Repeat("x", 1<<20), "b=2; HttpOnly"}, "b=2", nil, "dropped_size"},
		{"1000 of them", many, strings.Join(last, "; "), nil, "evicted"},
		{"= in the value", []string{"a=b==c; HttpOnly"}, "a=b==c", nil, "taken"},
		{"= before the name", []string{"=a=b; HttpOnly"}, "a=b", nil, "taken"},
		{"; at the start", []string{"; HttpOnly", "b=2; HttpOnly"}, "b=2", nil, "dropped_invalid"},
		{"empty", []string{"", "b=2; HttpOnly"}, "b=2", nil, "dropped_invalid"},
		{"no name", []string{"lonely; HttpOnly"}, "lonely", nil, "taken"},
		{"no value", []string{"a=; HttpOnly"}, "a=", nil, "taken"},
		{"a tab within", []string{"a=b\tc; HttpOnly"}, "a=b\tc", nil, "taken"},
		{"brackets, quotes, JSON, UTF-8", []string{"a[b]=1; HttpOnly", `q="x y"; HttpOnly`, `j={"a":1}; HttpOnly`, "ü@=é; HttpOnly"}, `a[b]=1; q="x y"; j={"a":1}; ü@=é`, nil, "taken"},
		{"attributes twice", []string{"a=1; Path=/elsewhere; path=/; Max-Age=0; max-age=60; HttpOnly; HTTPONLY"}, "a=1", nil, "taken"},
		{"IMF-fixdate", []string{"a=1; Expires=Tue, 01 Jan 2199 00:00:00 GMT; HttpOnly"}, "a=1", nil, "taken"},
		{"RFC 850", []string{"a=1; Expires=Friday, 01-Jan-27 00:00:00 GMT; HttpOnly", "b=1; Expires=Tuesday, 01-Jan-69 00:00:00 GMT; HttpOnly"}, "a=1; b=1", nil, "taken"},
		{"asctime", []string{"a=1; Expires=Tue Jan  1 00:00:00 2199; HttpOnly"}, "a=1", nil, "taken"},
		{"asctime, past", []string{"a=1; HttpOnly", "a=1; Expires=Thu Jan  1 00:00:00 1970; HttpOnly", "b=2; HttpOnly"}, "b=2", nil, "taken"},
		{"no date", []string{"a=1; Expires=soon; HttpOnly"}, "a=1", nil, "taken"},
		{"the domain of a stranger", []string{"a=1; Domain=evil.example; HttpOnly"}, "a=1", nil, "taken"},
		{"__Host- with a path", []string{"__Host-a=1; Path=/x/; HttpOnly", "__Host-b=1; Path=/; HttpOnly"}, "__Host-b=1", nil, "taken"},
		{"a path outside", []string{"a=1; Path=/elsewhere; HttpOnly", "b=2; HttpOnly"}, "b=2", nil, "taken"},
		{"no path", []string{"a=1; Path=relative; HttpOnly"}, "a=1", nil, "taken"},
		{"a readable one", []string{"a=1; Path=/"}, "a=1", []string{"a=1; Path=/"}, "given"},
		{"the ticket's name", []string{"shop_ticket=planted; HttpOnly", "b=2; HttpOnly"}, "b=2", nil, "taken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := first.another(s)
			b.T, b.app.t = t, t
			before := jarCount(b.Visitor, "shop", c.kind)
			resp, given := b.asks("GET", "/", pageHeader, c.lines...)
			if resp.StatusCode != http.StatusOK || !slices.Equal(given, c.given) {
				t.Errorf("%s, the browser got %.200q", resp.Status, given)
			}
			if after := jarCount(b.Visitor, "shop", c.kind); after == before {
				t.Errorf("nothing is counted as %s", c.kind)
			}
			b.sends("/", c.want)
		})
	}
}

// brokenApp is an app that answers with a header line as it is.
func brokenApp(t *testing.T, header string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n"+header+"\r\n\r\n")
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// TestJarAndBadHeaders: an app's header with a control character never leaves
// Go's transport: the answer is 502, and the jar stays as it was.
func TestJarAndBadHeaders(t *testing.T) {
	lines := map[string]string{
		"nul": "Set-Cookie: sid=\x00; HttpOnly", "esc": "Set-Cookie: sid=\x1b[31m; HttpOnly", "del": "Set-Cookie: sid=\x7f; HttpOnly", "cr": "Set-Cookie: sid=a\rb; HttpOnly",
	}
	var routes strings.Builder
	for name, line := range lines {
		routes.WriteString("handle /" + name + " {\n session shop {\n cookies\n }\n reverse_proxy " + brokenApp(t, line) + "\n}\n")
	}
	_, b := newJarSite(t, routes.String()+plainJarOf("shop"))
	b.asks("GET", "/", pageHeader, "sid=1; HttpOnly")
	ticket := b.ticket("/", "shop")
	for name := range lines {
		if resp, given := b.asks("GET", "/"+name, pageHeader); resp.StatusCode != http.StatusBadGateway || given != nil {
			t.Errorf("%s: %s, cookies %q", name, resp.Status, given)
		}
		b.sends("/", "sid=1")
		if b.ticket("/", "shop") != ticket {
			t.Errorf("%s: the ticket has changed", name)
		}
	}
}

// plainJarOf is a route with a jar of that manager.
func plainJarOf(manager string) string {
	return "handle {\n session " + manager + " {\n cookies\n }\n reverse_proxy APP\n}"
}

// TestJarAndWhatBrowsersSend: nothing that a browser sends gets into the jar or
// takes its place, in each protocol.
func TestJarAndWhatBrowsersSend(t *testing.T) {
	_, b := newJarSite(t, plainJar)
	b.asks("GET", "/", pageHeader, "sid=1; HttpOnly", "lang=en; Path=/")
	crowd := make([]string, 200)
	for i := range crowd {
		crowd[i] = fmt.Sprintf("n%d=1", i)
	}
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"the jar's names", []string{"sid=evil; theme=dark"}, "sid=1; theme=dark; lang=en"},
		{"names of session cookies", []string{"PHPSESSID=evil; connect.sid=evil; theme=dark"}, "sid=1; theme=dark; lang=en"},
		{"tossed ones, a longer path first", []string{"lang=tossed; theme=1; theme=2"}, "sid=1; lang=tossed; theme=1"},
		{"200 of them", []string{strings.Join(crowd[:198], "; ") + "; theme=dark"}, "sid=1; theme=dark; lang=en"},
		{"two lines", []string{"sid=evil; theme=dark", "other=1"}, "sid=1; theme=dark; lang=en"},
		{"no = and no name", []string{"sid; =sid=2; =; ;; theme=dark"}, "sid=1; theme=dark; lang=en"},
		{"blanks and tabs", []string{" \t sid = evil ;\ttheme=dark"}, "sid=1; theme=dark; lang=en"},
		{"quotes", []string{`theme="a; sid=evil"`}, `sid=1; theme="a; lang=en`},
		{"another case", []string{"SID=evil; Sid=evil; theme=dark"}, "sid=1; theme=dark; lang=en"},
	} {
		header := slices.Clone(scriptHeader)
		for _, line := range c.lines {
			header = append(header, "Cookie", line)
		}
		if resp, given := b.asks("GET", "/", header); resp.StatusCode != http.StatusOK || given != nil {
			t.Errorf("%s: %s, %q", c.name, resp.Status, given)
		}
		if got := b.app.cookies(); got != c.want {
			t.Errorf("%s: the app got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestJarAndCrumbs: HTTP/2 and HTTP/3 clients send each cookie by itself.
func TestJarAndCrumbs(t *testing.T) {
	s, a := caddytest.NewSite(t), newJarApp(t)
	_, h2, h3 := tlsSite(t, s, strings.ReplaceAll(plainJar, "APP", a.address))
	for name, transport := range map[string]http.RoundTripper{"HTTP/2": h2, "HTTP/3": h3} {
		send := func(cookies []string, lines ...string) *http.Response {
			a.mu.Lock()
			a.lines = lines
			a.mu.Unlock()
			r, err := http.NewRequest(http.MethodGet, "https://"+s.Address+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header["Cookie"] = cookies
			resp, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Fatal(err)
			}
			return resp
		}
		resp := send(nil, "sid=1; HttpOnly", "lang=en; Path=/")
		lines := resp.Header["Set-Cookie"]
		if len(lines) != 2 || lines[0] != "lang=en; Path=/; Secure" || !strings.HasPrefix(lines[1], "__Host-shop_ticket=") {
			t.Fatalf("%s: the browser got %q", name, lines)
		}
		ticket, _, _ := strings.Cut(lines[1], ";")
		send([]string{"lang=de", ticket, "sid=evil", "a=1; theme=dark"})
		if got := a.cookies(); got != "sid=1; lang=de; theme=dark" {
			t.Errorf("%s: the app got %q", name, got)
		}
	}
}
