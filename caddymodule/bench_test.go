package caddymodule_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

func init() {
	caddy.RegisterModule(new(benchApp))
}

// benchApp is an upstream without a network: it writes the request's headers
// as a transport does, and answers with those of the benchmark's app.
type benchApp struct {
}

func (*benchApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport.bench_app", New: func() caddy.Module { return new(benchApp) }}
}

func (*benchApp) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (a *benchApp) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Header.Write(io.Discard); err != nil {
		return nil, err
	}
	h := http.Header{"Content-Type": {"text/plain"}, "Content-Length": {"2"}}
	if r.URL.Path == "/begin" {
		h["Session-Data"] = []string{benchData}
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, ContentLength: 2, Body: io.NopCloser(strings.NewReader("ok")), Request: r,
	}, nil
}

// benchData is 300 bytes of JSON.
var benchData = `{"user":"alice","role":"editor","cart":[{"sku":"A-1001","n":2},{"sku":"B-2002","n":1}],"padding":"` + strings.Repeat("x", 198) + `"}`

// discard is the cheapest response writer.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkRead is what a request costs that only reads its session: all of
// Caddy but the network, with and without the handler, in front of a handler
// that does nothing and of reverse_proxy, whose work grows with every header.
func BenchmarkRead(b *testing.B) {
	const proxy = "reverse_proxy 127.0.0.1:1 {\n transport bench_app\n}"
	for _, bc := range []struct{ name, sessions, routes string }{
		{"respond/bare", "", "respond ok"},
		{"respond/session", "", "session bench\nrespond ok"},
		{"respond/session among 1000 managers", "", "session bench\nrespond ok"},
		{"proxy/bare", "", proxy},
		{"proxy/session", "", "session bench\n" + proxy},
		{"proxy/session and endpoint", "endpoint", "session bench\n" + proxy},
	} {
		b.Run(bc.name, func(b *testing.B) {
			s := caddytest.NewSite(b)
			sessions := s.Store(s.Dir, "async")
			if bc.sessions != "" {
				sessions += "\nendpoint " + caddytest.FreeAddress(b)
			}
			begin := strings.Replace(bc.routes, "respond ok", proxy, 1)
			var others strings.Builder
			if strings.Contains(bc.name, "1000") {
				others.WriteString("handle /others/* {\n")
				for i := range 1000 {
					fmt.Fprintf(&others, "handle /others/%d {\nsession m%d {\nticket cookie\nticket header X-M%d\n}\nrespond ok\n}\n", i, i, i)
				}
				others.WriteString("}\n")
			}
			s.Load(s.Config(sessions, "", others.String()+"handle /begin {\n"+begin+"\n}\nhandle {\n"+bc.routes+"\n}"))
			server := served(b)
			cookies := make([]string, 2048) // spread over the memory, as in life
			for i := range cookies {
				cookies[i] = "theme=dark; bench_ticket=" + strings.Repeat("x", 70)
				if strings.Contains(bc.routes, "session") {
					w := httptest.NewRecorder()
					server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/begin", nil))
					for _, c := range w.Result().Cookies() {
						cookies[i] = "theme=dark; " + c.Name + "=" + c.Value
					}
				}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				server.ServeHTTP(&discard{make(map[string][]string)}, benchRequest(cookies[i%len(cookies)]))
			}
		})
	}
}

// benchRequest is what net/http makes of a request with one header.
func benchRequest(cookie string) *http.Request {
	r := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: "/"}, RequestURI: "/", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, 2), Body: http.NoBody, Host: "localhost", RemoteAddr: "127.0.0.1:1234",
	}
	r.Header["Cookie"] = []string{cookie}
	return r
}

// served returns the one server of the running Caddy.
func served(b *testing.B) http.Handler {
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		b.Fatal(err)
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		return server
	}
	b.Fatal("no server")
	return nil
}
