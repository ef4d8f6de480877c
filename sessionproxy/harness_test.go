package sessionproxy_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

const cookieName = "shop_ticket"

// rig is a handler in front of an app that the test swaps, on a real server,
// so that net/http's own rules for headers and trailers hold.
type rig struct {
	t       *testing.T
	store   *memstore.Store
	handler *sessionproxy.Handler
	node    *session.Node
	metrics *prometheus.Registry
	ring    *ticket.Ring
	server  *httptest.Server
	app     atomic.Pointer[sessionproxy.Next]
	outer   http.Header // set before the handler
	now     time.Time
}

func newRig(t *testing.T, change func(*sessionproxy.Config, *session.Policy)) *rig {
	t.Helper()
	r := &rig{t: t, now: time.Now()}
	r.store = memstore.New(func() time.Time { return r.now })
	var err error
	if r.ring, err = ticket.NewRing(ticket.NewKey()); err != nil {
		t.Fatal(err)
	}
	metrics := sessionproxy.NewMetrics()
	r.metrics = prometheus.NewRegistry()
	r.metrics.MustRegister(metrics.Collectors()...)
	config := sessionproxy.Config{
		Ring:        func() (*ticket.Ring, error) { return r.ring, nil },
		Carriers:    []ticket.Carrier{&ticket.Cookie{Name: cookieName, Path: "/", SameSite: http.SameSiteLaxMode}},
		Secure:      func(*http.Request) bool { return false },
		ReadOnly:    func(r *http.Request) bool { return r.URL.Path == "/readonly" },
		InlineLimit: 4096,
		Metrics:     metrics,
	}
	policy := session.DefaultPolicy()
	if change != nil {
		change(&config, &policy)
	}
	backend := session.Fixed(r.store)
	if _, r.node, err = backend.Acquire(); err != nil {
		t.Fatal(err)
	}
	config.Manager, err = session.NewManager("shop", policy, session.Options{
		Provider: backend, NewCredential: sessionproxy.CredentialSource("shop"), Now: func() time.Time { return r.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.handler, err = sessionproxy.NewHandler(config); err != nil {
		t.Fatal(err)
	}
	r.server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.server.Close)
	return r
}

// serve does what a server does with the handler.
func (r *rig) serve(w http.ResponseWriter, req *http.Request) {
	maps.Copy(w.Header(), r.outer)
	err := r.handler.Serve(w, req, *r.app.Load())
	var p *sessionproxy.Problem
	switch {
	case errors.As(err, &p):
		if err := p.Write(w, req); err != nil {
			r.t.Error(err)
		}
	case err != nil:
		w.WriteHeader(http.StatusBadGateway)
	}
}

// reply is a response, read to its end.
type reply struct {
	status  int
	header  http.Header
	trailer http.Header
	body    string
	cookie  *http.Cookie // the ticket that was set, if any
}

func (r *rig) do(method, path string, header http.Header, app func(http.ResponseWriter, *http.Request)) reply {
	r.t.Helper()
	r.run(func(w http.ResponseWriter, req *http.Request) error { app(w, req); return nil })
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.server.URL+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header = header.Clone()
	return r.send(req)
}

// doBody is do with a request body.
func (r *rig) doBody(method, path, body string, header http.Header, app func(http.ResponseWriter, *http.Request)) reply {
	r.t.Helper()
	r.run(func(w http.ResponseWriter, req *http.Request) error { app(w, req); return nil })
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.server.URL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header = header.Clone()
	return r.send(req)
}

func itoa(n int) string { return strconv.Itoa(n) }

func increment(n string) string {
	i, _ := strconv.Atoi(n)
	return strconv.Itoa(i + 1)
}

// run makes app what the handler stands in front of.
func (r *rig) run(app sessionproxy.Next) { r.app.Store(&app) }

func (r *rig) send(req *http.Request) reply {
	r.t.Helper()
	resp, err := r.server.Client().Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	out := reply{status: resp.StatusCode, header: resp.Header, trailer: resp.Trailer, body: string(body)}
	for _, c := range resp.Cookies() {
		if c.Name == cookieName {
			out.cookie = c
		}
	}
	return out
}

// begin makes a session with that data, and returns the header that enters it.
func (r *rig) begin(data string) http.Header {
	r.t.Helper()
	got := r.do("GET", "/", nil, writes("Session-Data", data))
	if got.status != http.StatusOK || got.cookie == nil {
		r.t.Fatalf("no session was begun: %+v", got)
	}
	return http.Header{"Cookie": {cookieName + "=" + got.cookie.Value}}
}

// seen returns the request headers that the app is shown.
func (r *rig) seen(header http.Header) http.Header {
	r.t.Helper()
	var seen http.Header
	r.do("GET", "/", header, func(w http.ResponseWriter, req *http.Request) { seen = req.Header.Clone() })
	if seen == nil {
		r.t.Fatal("the app was not reached")
	}
	return seen
}

func (r *rig) data(header http.Header) string {
	r.t.Helper()
	return r.seen(header).Get("Session-Data")
}

// writes is an app that answers with pairs of headers.
func writes(pairs ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(pairs); i += 2 {
			w.Header().Add(pairs[i], pairs[i+1])
		}
		_, _ = io.WriteString(w, "from the app")
	}
}

// refuses expects a problem of the type and an unchanged session.
func (r *rig) refuses(got reply, status int, typ string) {
	r.t.Helper()
	var p struct {
		Type, Title, Session string
		Status               int
	}
	if got.status != status || got.header.Get("Content-Type") != "application/problem+json" {
		r.t.Fatalf("got %d %v %s", got.status, got.header, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), &p); err != nil {
		r.t.Fatal(err)
	}
	if p.Type != typ || p.Status != status || p.Title == "" {
		r.t.Fatalf("got %+v", p)
	}
	if got.cookie != nil || strings.Contains(got.body, "from the app") {
		r.t.Fatalf("the app's response came through: %+v", got)
	}
	for name := range got.header {
		if strings.HasPrefix(name, "Session-") || strings.HasPrefix(name, "X-App") {
			r.t.Fatalf("the app's header %s came through", name)
		}
	}
}

func (r *rig) counter(name string, labels ...string) float64 {
	r.t.Helper()
	return sampled(r.t, r.metrics, "caddy_sessions_"+name, labels...)
}

// sampled adds up the counters of a name with these labels, or how many
// samples its histograms have.
func sampled(t *testing.T, from prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	metric:
		for _, m := range f.GetMetric() {
			for i := 0; i < len(labels); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				if !found {
					continue metric
				}
			}
			total += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return total
}

var errStore = errors.New("disk on fire at /secret/path")

func (r *rig) breakStore() {
	r.store.Before = func(string, store.Key) error { return errStore }
}
