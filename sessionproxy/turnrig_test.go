package sessionproxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// turnRig is a serialized handler and its endpoint in a bubble: minutes pass
// at once, and each that waits is known to wait.
type turnRig struct {
	t       *testing.T
	handler *sessionproxy.Handler
	store   *memstore.Store
	locks   *lock.Locks
	client  *http.Client
	in      http.Header
}

// pipes is a listener whose connections are in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.closed); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours, nil
}

// inTurn runs a test in a bubble. What is stored at its beginning is {"n":0}.
func inTurn(t *testing.T, wait time.Duration, queue int, test func(*testing.T, *turnRig)) {
	synctest.Test(t, func(t *testing.T) {
		c := &turnRig{t: t, store: memstore.New(time.Now)}
		ring, err := ticket.NewRing(ticket.NewKey())
		if err != nil {
			t.Fatal(err)
		}
		policy := session.DefaultPolicy()
		policy.Locking, policy.Wait, policy.Queue = session.Serialized, wait, queue
		backend := session.Fixed(c.store)
		_, local, _ := backend.Acquire()
		c.locks = local.Locks
		m, err := session.NewManager("shop", policy, session.Options{Provider: backend, NewCredential: sessionproxy.CredentialSource("shop")})
		if err != nil {
			t.Fatal(err)
		}
		metrics := sessionproxy.NewMetrics()
		endpoint := sessionproxy.NewEndpoint(sessionproxy.EndpointConfig{URL: "http://sessions", Metrics: metrics})
		c.handler, err = sessionproxy.NewHandler(sessionproxy.Config{
			Manager: m, Metrics: metrics, Endpoint: endpoint, EndStreams: true, InlineLimit: 4096,
			Ring:     func() (*ticket.Ring, error) { return ring, nil },
			Carriers: []ticket.Carrier{&ticket.Cookie{Name: cookieName}},
			Secure:   func(*http.Request) bool { return false },
		})
		if err != nil {
			t.Fatal(err)
		}
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: endpoint, ReadHeaderTimeout: 30 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second}
		go func() { _ = server.Serve(l) }()
		transport := &http.Transport{DialContext: l.dial}
		c.client = &http.Client{Transport: transport}
		w := serve(t, c.handler, nil, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Session-Data", `{"n":0}`) })
		c.in = http.Header{"Cookie": {w.Result().Cookies()[0].String()}}
		test(t, c)
		transport.CloseIdleConnections()
		_ = server.Close()
	})
}

// request serves one request in a goroutine. status gets its answer's.
func (c *turnRig) request(path string, app func(w http.ResponseWriter, r *http.Request)) (status chan int) {
	status = make(chan int, 1)
	go func() {
		r := httptest.NewRequestWithContext(c.t.Context(), http.MethodGet, path, nil)
		r.Header = c.in.Clone()
		w := httptest.NewRecorder()
		err := c.handler.Serve(w, r, func(w http.ResponseWriter, r *http.Request) error { app(w, r); return nil })
		var p *sessionproxy.Problem
		switch {
		case errors.As(err, &p):
			status <- p.Status
		case err != nil:
			c.t.Error(err)
		}
		status <- w.Code
	}()
	return status
}

// stream begins a request whose headers go out at once, and returns its
// endpoint and what ends it.
func (c *turnRig) stream() (ep string, end func(), status chan int) {
	url, over := make(chan string), make(chan struct{})
	status = c.request("/stream", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		url <- endpointOf(r)
		<-over
	})
	return <-url, func() { close(over) }, status
}

// hold begins a request that has the lock until release is called, and then
// patches n.
func (c *turnRig) hold(path, n string) (release func(), status chan int) {
	has, over := make(chan struct{}, 1), make(chan struct{})
	status = c.request(path, func(w http.ResponseWriter, _ *http.Request) {
		has <- struct{}{}
		<-over
		w.Header().Set("Session-Patch", `{"n":`+n+`}`)
	})
	synctest.Wait()
	return func() { close(over) }, status
}

// ask makes one call.
func (c *turnRig) ask(ctx context.Context, method, url, body string) answer {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return answer{}
	}
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", jsonpatch)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return answer{body: err.Error()}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Error(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// call makes one call in a goroutine, and lets it come as far as it can.
func (c *turnRig) call(ctx context.Context, method, url, body string) chan answer {
	got := make(chan answer, 1)
	go func() { got <- c.ask(ctx, method, url, body) }()
	synctest.Wait()
	return got
}

func (c *turnRig) waiting(want int) {
	c.t.Helper()
	synctest.Wait()
	got := 0
	for _, l := range c.locks.All() {
		got += l.Waiting
	}
	if got != want {
		c.t.Fatalf("%d wait, want %d", got, want)
	}
}

func (c *turnRig) data(want string) {
	c.t.Helper()
	for key := range c.keys() {
		if rec, err := c.store.Load(c.t.Context(), key); err != nil || string(rec.Data) != want {
			c.t.Fatalf("data is %s, %v, want %s", rec.Data, err, want)
		}
	}
}

func (c *turnRig) keys() map[store.Key]struct{} {
	all := make(map[store.Key]struct{})
	for info, err := range c.store.List(c.t.Context(), "shop", store.ID{}) {
		if err != nil {
			c.t.Fatal(err)
		}
		all[store.Key{Manager: "shop", ID: info.ID}] = struct{}{}
	}
	return all
}
