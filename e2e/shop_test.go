package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shop starts an app that does what the query says, and shows what it was
// told. It returns the directive that leads to it.
//
//	?login=alice  ?patch={…}  ?action=destroy  ?timeout={…}
//	/ws           a WebSocket that says hello and stays open
//	/events       an event stream that does the same
func shop(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ws":
			webSocket(w)
			return
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: hello\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		q := r.URL.Query()
		if q.Has("login") {
			w.Header().Set("Session-Principal", strconv.Quote(q.Get("login")))
		}
		for name, header := range map[string]string{"patch": "Session-Patch", "action": "Session-Action", "timeout": "Session-Timeout"} {
			if q.Has(name) {
				w.Header().Set(header, q.Get(name))
			}
		}
		for _, name := range []string{"Id", "State", "Data"} {
			w.Header().Set("X-"+name, r.Header.Get("Session-"+name))
		}
		w.Header().Set("X-Tickets", r.Header.Get("Cookie")+r.Header.Get("Authorization")+r.Header.Get("X-Session"))
	}))
	t.Cleanup(s.Close)
	return "reverse_proxy " + strings.TrimPrefix(s.URL, "http://")
}

// webSocket answers an upgrade, says hello, and waits until the other side goes.
func webSocket(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n")
	_, _ = io.Copy(io.Discard, conn)
}

// do makes a request of the shop, and returns the id, the state and the data
// that it was told.
func (c *client) do(query string) (id, state, data string) {
	c.t.Helper()
	status, header, body := c.get("/?" + query)
	if status != http.StatusOK {
		c.t.Fatalf("?%s: %d %s", query, status, body)
	}
	return header.Get("X-Id"), header.Get("X-State"), header.Get("X-Data")
}

// wantState expects that the shop is told that state.
func (c *client) wantState(want string) {
	c.t.Helper()
	if _, state, _ := c.do(""); state != want {
		c.t.Errorf("the session is %s, want %s", state, want)
	}
}

// jarred returns the cookies that the browser would send.
func (c *client) jarred() []*http.Cookie {
	c.t.Helper()
	u, err := url.Parse(c.p.url("/"))
	if err != nil {
		c.t.Fatal(err)
	}
	return c.Jar.Cookies(u)
}

// open opens a stream, and returns it when the app has said hello.
func (c *client) open(path string, header ...string) *stream {
	c.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(c.t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", c.p.port))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close() })
	var request strings.Builder
	request.WriteString("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n")
	for i := 0; i < len(header); i += 2 {
		request.WriteString(header[i] + ": " + header[i+1] + "\r\n")
	}
	for _, cookie := range c.jarred() {
		request.WriteString("Cookie: " + cookie.Name + "=" + cookie.Value + "\r\n")
	}
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request.String()+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
	s := &stream{t: c.t, path: path, conn: conn, r: bufio.NewReader(conn)}
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("%s: %v", path, err)
		}
		if strings.Contains(line, "hello") {
			return s
		}
	}
}

func (c *client) webSocket() *stream {
	c.t.Helper()
	return c.open("/ws", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

func (c *client) eventStream() *stream {
	c.t.Helper()
	return c.open("/events", "Accept", "text/event-stream")
}

// stream is a response that stays open.
type stream struct {
	t    *testing.T
	path string
	conn net.Conn
	r    *bufio.Reader
}

// ends expects that it is closed, sooner than by the look at it every ten
// seconds.
func (s *stream) ends() {
	s.t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(8 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, s.r); err != nil && os.IsTimeout(err) {
		s.t.Errorf("%s stays open", s.path)
	}
}

// listed returns the ids that `sessions ls` shows.
func (p *proxy) listed(args ...string) []string {
	p.t.Helper()
	out, status := p.operate(append([]string{"ls", "shop", "--json"}, args...)...)
	var list struct {
		Sessions []struct{ ID string }
	}
	// The error that there are none comes behind the list.
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&list); err != nil || status != 0 && status != 3 {
		p.t.Fatalf("sessions ls: [%d] %v\n%s", status, err, out)
	}
	var ids []string
	for _, s := range list.Sessions {
		ids = append(ids, s.ID)
	}
	return ids
}

// backlog is what waits for a listener.
type backlog struct {
	Name          string
	Waiting, Dead int
}

// stats returns what `sessions stats` tells of listeners and streams.
func (p *proxy) stats() (listeners []backlog, streams int) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.admin+"/sessions/stats", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var view struct {
		Listeners []backlog
		Streams   int
	}
	if err := json.NewDecoder(resp.Body).Decode(&view); err != nil {
		p.t.Fatal(err)
	}
	return view.Listeners, view.Streams
}

// write makes files with their directories.
func write(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func exists(parts ...string) bool {
	_, err := os.Lstat(filepath.Join(parts...))
	return err == nil
}

// shopSite is a site of the manager shop, with options of it and of the app.
func shopSite(app, session, directive string) string {
	return `{
	admin {ADMIN}
	auto_https off
	sessions {
		store badger {DIR}/store
		endpoint {ENDPOINT}
		` + app + `
	}
}
http://:{PORT} {
	bind 127.0.0.1
	session shop {
		` + session + `
	}
	` + directive + `
}
`
}

// patient makes a request again whose connection was reset. Caddy binds the
// site's socket anew at a reload, and drops connections that wait to be
// accepted at that moment: those requests have reached no app.
type patient struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (p patient) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	for range 20 {
		if resp, err = p.RoundTripper.RoundTrip(r); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			break
		}
	}
	return resp, err
}

// patientClient is a browser that tries again, for tests that reload.
func (p *proxy) patientClient(t *testing.T) *client {
	t.Helper()
	c := p.client(t)
	c.Transport = patient{c.Transport}
	return c
}
