package sessionproxy_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// discard is the cheapest response writer.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// threeCookies are those of a jar, as a MediaWiki fills it.
var threeCookies = []string{
	"my_wiki_session=a5m1l1vcjbm5j8kqg1m0hc8q7u4f5r5d; path=/; HttpOnly",
	"my_wikiUserID=1; Max-Age=15552000; path=/; HttpOnly",
	"my_wikiUserName=Alice; Max-Age=15552000; path=/; HttpOnly",
}

// BenchmarkServe is what a request pays beside the app and the store: the
// store is one in memory.
func BenchmarkServe(b *testing.B) {
	data := `{"user":"alice","cart":{"items":[1,2,3],"total":42},"padding":"` + strings.Repeat("x", 220) + `"}`
	read := func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) }
	count := 0
	for _, bc := range []struct {
		name     string
		app      func(w http.ResponseWriter)
		endpoint bool
		forward  sessionproxy.Forward
		jar      bool // of three cookies
	}{
		{"read", read, false, sessionproxy.ForwardData, false},
		{"read, with an endpoint", read, true, sessionproxy.ForwardData, false},
		{"read, id alone", read, false, sessionproxy.ForwardID, false},
		{"read, id and jar", read, false, sessionproxy.ForwardID, true},
		{"repeated cookie", func(w http.ResponseWriter) {
			w.Header()["Set-Cookie"] = threeCookies[:1]
			w.WriteHeader(http.StatusOK)
		}, false, sessionproxy.ForwardID, true},
		{"changed cookie", func(w http.ResponseWriter) {
			count++
			w.Header()["Set-Cookie"] = []string{"my_wiki_session=" + itoa(count) + "; path=/; HttpOnly"}
			w.WriteHeader(http.StatusOK)
		}, false, sessionproxy.ForwardID, true},
		{"patch", func(w http.ResponseWriter) {
			w.Header()["Session-Patch"] = []string{`{"cart":{"total":43}}`}
			w.WriteHeader(http.StatusOK)
		}, false, sessionproxy.ForwardData, false},
	} {
		b.Run(bc.name, func(b *testing.B) {
			ring, err := ticket.NewRing(ticket.NewKey())
			if err != nil {
				b.Fatal(err)
			}
			policy := session.DefaultPolicy()
			policy.CookieJar = bc.jar
			m, err := session.NewManager("bench", policy, session.Options{
				Provider: session.Fixed(memstore.New(time.Now)), NewCredential: sessionproxy.CredentialSource("bench"),
			})
			if err != nil {
				b.Fatal(err)
			}
			var endpoint *sessionproxy.Endpoint
			if bc.endpoint {
				endpoint = sessionproxy.NewEndpoint(sessionproxy.EndpointConfig{URL: "http://127.0.0.1:2020", Metrics: sessionproxy.NewMetrics()})
			}
			var cookies *sessionproxy.Cookies
			if bc.jar {
				rules, err := jar.NewRules(jar.Options{})
				if err != nil {
					b.Fatal(err)
				}
				cookies = &sessionproxy.Cookies{Rules: rules}
			}
			h, err := sessionproxy.NewHandler(sessionproxy.Config{
				Manager: m, Metrics: sessionproxy.NewMetrics(), InlineLimit: 4096, Endpoint: endpoint,
				Forward: bc.forward, Cookies: cookies,
				Ring:     func() (*ticket.Ring, error) { return ring, nil },
				Carriers: []ticket.Carrier{&ticket.Cookie{Name: "bench_ticket", Path: "/"}},
				Secure:   func(*http.Request) bool { return false },
			})
			if err != nil {
				b.Fatal(err)
			}
			begin := httptest.NewRecorder()
			if err := h.Serve(begin, httptest.NewRequest(http.MethodGet, "/", nil), func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("Session-Data", data)
				if bc.jar {
					w.Header()["Set-Cookie"] = threeCookies
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
			cookie := begin.Result().Cookies()[0]
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			b.ReportAllocs()
			for b.Loop() {
				request.Header = http.Header{"Cookie": {"bench_ticket=" + cookie.Value}, "Accept": {"*/*"}}
				w := &discard{header: http.Header{"Server": {"Caddy"}}}
				if err := h.Serve(w, request, func(w http.ResponseWriter, _ *http.Request) error { bc.app(w); return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
