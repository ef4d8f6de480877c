package sessionproxy_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
	"github.com/sessionproxy/sessionproxy/store/badgerstore"
)

// fullConn is a connection whose client does not read: once it is full a
// write waits until the connection is closed.
type fullConn struct {
	net.Conn
	full   atomic.Bool
	once   sync.Once
	closed chan struct{}
	writes *atomic.Int64 // that had to wait
}

func (c *fullConn) Write(b []byte) (int, error) {
	if !c.full.Load() {
		return c.Conn.Write(b)
	}
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	c.writes.Add(1)
	<-c.closed
	return 0, net.ErrClosed
}

func (c *fullConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// fullListener makes such connections.
type fullListener struct {
	net.Listener
	writes atomic.Int64
	mu     sync.Mutex
	last   *fullConn
}

func (l *fullListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = &fullConn{Conn: conn, closed: make(chan struct{}), writes: &l.writes}
	return l.last, nil
}

// TestNoClientStallsTheWriter: WebSockets over TLS end with their session, and
// neither the store's writer nor anything else writes to a client for it.
func TestNoClientStallsTheWriter(t *testing.T) {
	st, err := badgerstore.Open(badgerstore.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	ring, err := ticket.NewRing(ticket.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	m, err := session.NewManager("shop", session.DefaultPolicy(), session.Options{Provider: session.Fixed(st), NewCredential: sessionproxy.CredentialSource("shop")})
	if err != nil {
		t.Fatal(err)
	}
	h, err := sessionproxy.NewHandler(sessionproxy.Config{
		Manager: m, Metrics: sessionproxy.NewMetrics(), EndStreams: true, InlineLimit: 4096,
		Ring: func() (*ticket.Ring, error) { return ring, nil }, Carriers: []ticket.Carrier{&ticket.Cookie{Name: cookieName}},
		Secure: func(*http.Request) bool { return false },
	})
	if err != nil {
		t.Fatal(err)
	}
	var over sync.WaitGroup
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = h.Serve(w, r, func(w http.ResponseWriter, r *http.Request) error {
			switch r.URL.Path {
			case "/socket":
				w.Header().Set("Upgrade", "x")
				w.Header().Set("Connection", "Upgrade")
				w.WriteHeader(http.StatusSwitchingProtocols)
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					return err
				}
				defer over.Done()
				defer conn.Close()
				_, _ = io.Copy(io.Discard, conn)
			case "/logout":
				w.Header().Set("Session-Action", "destroy")
			default:
				w.Header().Set("Session-Add", `{"n":1}`)
			}
			return nil
		})
	}))
	listener := &fullListener{Listener: srv.Listener}
	srv.Listener = listener
	srv.StartTLS()
	defer srv.Close()
	get := func(path, cookie string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", cookie)
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("got %d", res.StatusCode)
		}
		cookie, _, _ = strings.Cut(res.Header.Get("Set-Cookie"), ";")
		return cookie
	}
	mine, other := get("/", ""), get("/", "")
	for range 3 {
		over.Add(1)
		conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", strings.TrimPrefix(srv.URL, "https://")) // a test's own server
		if err != nil {
			t.Fatal(err)
		}
		defer conn.(*tls.Conn).NetConn().Close()
		fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: x\r\nConnection: Upgrade\r\nCookie: %s\r\n\r\n", mine)
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "101") {
			t.Fatal(line, err)
		}
		listener.mu.Lock()
		listener.last.full.Store(true)
		listener.mu.Unlock()
	}
	get("/logout", mine)
	get("/", other)
	over.Wait() // all sockets have ended
	if n := listener.writes.Load(); n > 0 {
		t.Errorf("%d writes waited for a client", n)
	}
}
