package sessionproxy_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// discard is the cheapest response writer.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkServe is what a request pays beside the app and the store: the
// store is one in memory.
func BenchmarkServe(b *testing.B) {
	data := `{"user":"alice","cart":{"items":[1,2,3],"total":42},"padding":"` + strings.Repeat("x", 220) + `"}`
	for _, bc := range []struct {
		name     string
		app      func(w http.ResponseWriter)
		endpoint bool
	}{
		{"read", func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) }, false},
		{"read, with an endpoint", func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) }, true},
		{"patch", func(w http.ResponseWriter) {
			w.Header()["Session-Patch"] = []string{`{"cart":{"total":43}}`}
			w.WriteHeader(http.StatusOK)
		}, false},
	} {
		b.Run(bc.name, func(b *testing.B) {
			ring, err := ticket.NewRing(ticket.NewKey())
			if err != nil {
				b.Fatal(err)
			}
			m, err := session.NewManager("bench", session.DefaultPolicy(), session.Options{
				Provider: session.Fixed(memstore.New(time.Now)), NewCredential: sessionproxy.CredentialSource("bench"),
			})
			if err != nil {
				b.Fatal(err)
			}
			var endpoint *sessionproxy.Endpoint
			if bc.endpoint {
				endpoint = sessionproxy.NewEndpoint(sessionproxy.EndpointConfig{URL: "http://127.0.0.1:2020", Metrics: sessionproxy.NewMetrics()})
			}
			h, err := sessionproxy.NewHandler(sessionproxy.Config{
				Manager: m, Metrics: sessionproxy.NewMetrics(), InlineLimit: 4096, Endpoint: endpoint,
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
