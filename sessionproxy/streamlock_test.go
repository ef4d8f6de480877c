package sessionproxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
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
func (p *pipes) Close() error   { close(p.closed); return nil }
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
		endpoint := sessionproxy.NewEndpoint("http://sessions", nil, metrics, nil)
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

// A write in a stream does not get in the way of the holder of the lock, and is
// served in its turn; nothing else that its request does waits with it.
func TestAWriteInAStreamWaitsForItsTurn(t *testing.T) {
	inTurn(t, time.Minute, 8, func(t *testing.T, c *turnRig) {
		ep, end, stream := c.stream()
		release, first := c.hold("/first", "1")
		releaseSecond, second := c.hold("/second", "2")
		c.waiting(1)
		write := c.call(t.Context(), "PUT", ep+"/data/late", "7")
		c.waiting(2)
		for path, want := range map[string]string{"/data": `{"n":0}`, "": `"state":"active"`} {
			if got := c.ask(t.Context(), "GET", ep+path, ""); got.status != 200 || !strings.Contains(got.body, want) {
				t.Errorf("reading beside it: %d %s", got.status, got.body)
			}
		}
		for _, verb := range []string{"/touch", "/commit", "/rollback", "/refresh"} {
			if got := c.ask(t.Context(), "POST", ep+verb, ""); got.status != 204 {
				t.Errorf("%s: %d %s", verb, got.status, got.body)
			}
		}
		release()
		if got := <-first; got != 200 {
			t.Errorf("who had the lock: %d", got)
		}
		c.waiting(1)
		c.data(`{"n":1}`)
		releaseSecond()
		if got := <-second; got != 200 {
			t.Errorf("who came first: %d", got)
		}
		if got := <-write; got.status != 200 || got.body != "7" {
			t.Errorf("the write: %d %s", got.status, got.body)
		}
		c.data(`{"n":2,"late":7}`)
		c.waiting(0)
		end()
		if got := <-stream; got != 200 {
			t.Errorf("the stream: %d", got)
		}
	})
}

// While it commits, operators see whose it is.
func TestAWriteInAStreamHoldsTheLock(t *testing.T) {
	inTurn(t, time.Minute, 8, func(t *testing.T, c *turnRig) {
		ep, end, stream := c.stream()
		reached, open := make(chan struct{}), make(chan struct{})
		var gated atomic.Bool
		c.store.Before = func(op string, _ store.Key) error {
			if op == "save" && gated.CompareAndSwap(false, true) {
				close(reached)
				<-open
			}
			return nil
		}
		write := c.call(t.Context(), "POST", ep+"/add", `{"n":1}`)
		<-reached
		if all := c.locks.All(); len(all) != 1 || all[0].Holder != (lock.Holder{Method: "GET", Path: "/stream"}) {
			t.Errorf("locks %+v", all)
		}
		release, other := c.hold("/other", "9")
		c.waiting(1)
		close(open)
		if got := <-write; got.status != 200 || got.body != `{"n":1}` {
			t.Errorf("%d %s", got.status, got.body)
		}
		release()
		if got := <-other; got != 200 {
			t.Errorf("the other request: %d", got)
		}
		c.data(`{"n":9}`)
		end()
		<-stream
	})
}

func TestAWriteInAStreamGivesUp(t *testing.T) {
	const wait = 5 * time.Minute // longer than the server's own limits
	locked := func(t *testing.T, got answer) {
		t.Helper()
		if got.status != 503 || problemOf(got) != sessionproxy.TypeLocked || got.header.Get("Retry-After") == "" {
			t.Errorf("got %d %v %s", got.status, got.header, got.body)
		}
	}
	for _, tc := range []struct {
		name string
		test func(c *turnRig, ep string, end func(), release func())
	}{
		{"after the wait", func(c *turnRig, ep string, end, release func()) {
			begin := time.Now()
			locked(c.t, c.ask(c.t.Context(), "PUT", ep+"/data/late", "1"))
			if took := time.Since(begin); took != wait {
				c.t.Errorf("it took %v", took)
			}
			release()
			end()
		}},
		{"when too many wait", func(c *turnRig, ep string, end, release func()) {
			first := c.call(c.t.Context(), "PUT", ep+"/data/first", "1")
			locked(c.t, c.ask(c.t.Context(), "DELETE", ep, ""))
			release()
			if got := <-first; got.status != 200 {
				c.t.Errorf("the one that waits: %d %s", got.status, got.body)
			}
			end()
		}},
		{"when its caller leaves", func(c *turnRig, ep string, end, release func()) {
			ctx, leave := context.WithCancel(c.t.Context())
			got := c.call(ctx, "PUT", ep+"/data/late", "1")
			c.waiting(1)
			leave()
			<-got
			c.waiting(0)
			release()
			end()
		}},
		{"when its request ends", func(c *turnRig, ep string, end, release func()) {
			got := c.call(c.t.Context(), "PUT", ep+"/data/late", "1")
			c.waiting(1)
			begin := time.Now()
			end()
			if got := <-got; got.status != 410 || problemOf(got) != sessionproxy.TypeGone {
				c.t.Errorf("got %d %s", got.status, got.body)
			}
			c.waiting(0)
			if took := time.Since(begin); took != 0 {
				c.t.Errorf("the request's end took %v", took)
			}
			release()
		}},
		{"not before the wait, however long", func(c *turnRig, ep string, end, release func()) {
			got := c.call(c.t.Context(), "PUT", ep+"/data/late", "1")
			<-time.After(wait - time.Second)
			release()
			if got := <-got; got.status != 200 {
				c.t.Errorf("got %d %s", got.status, got.body)
			}
			c.data(`{"n":1,"late":1}`)
			end()
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inTurn(t, wait, 1, func(t *testing.T, c *turnRig) {
				ep, end, stream := c.stream()
				release, holder := c.hold("/holder", "1")
				tc.test(c, ep, end, release)
				if got := <-holder; got != 200 {
					t.Errorf("the holder: %d", got)
				}
				if got := <-stream; got != 200 {
					t.Errorf("the stream: %d", got)
				}
				c.waiting(0)
			})
		})
	}
}

// Many streams and requests of one session, each adding to what it has read:
// none is lost, and none waits for ever.
func TestStreamsAndRequestsTakeTurns(t *testing.T) {
	inTurn(t, time.Hour, 64, func(t *testing.T, c *turnRig) {
		const streams, requests, each = 3, 4, 10
		done := make(chan struct{})
		var ends []func()
		for range streams {
			ep, end, _ := c.stream()
			ends = append(ends, end)
			go func() {
				for range each {
					if got := c.ask(c.t.Context(), "PATCH", ep+"/data", `[{"op":"copy","from":"/n","path":"/m"}]`); got.status != 200 {
						t.Errorf("%d %s", got.status, got.body)
					}
					if got := c.ask(c.t.Context(), "POST", ep+"/add", `{"n":1}`); got.status != 200 {
						t.Errorf("%d %s", got.status, got.body)
					}
				}
				done <- struct{}{}
			}()
		}
		for range requests {
			go func() {
				for range each {
					status := c.request("/", func(w http.ResponseWriter, r *http.Request) {
						n := strings.TrimPrefix(r.Header.Get("Session-Data"), `{"n":`)
						n, _, _ = strings.Cut(n, ",")
						w.Header().Set("Session-Patch", `{"n":`+increment(strings.TrimSuffix(n, "}"))+`}`)
					})
					if got := <-status; got != 200 {
						t.Errorf("a request: %d", got)
					}
				}
				done <- struct{}{}
			}()
		}
		for range streams + requests {
			<-done
		}
		for _, end := range ends {
			end()
		}
		for key := range c.keys() {
			if rec, err := c.store.Load(t.Context(), key); err != nil || !strings.HasPrefix(string(rec.Data), `{"n":70`) {
				t.Errorf("%s, %v", rec.Data, err)
			}
		}
	})
}
