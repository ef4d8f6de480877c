package handler

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// talker is an app with an event stream, a WebSocket (as far as Caddy sees
// one), and a logout.
func talker(t *testing.T) string {
	return caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: hello\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case "/socket":
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.WriteHeader(http.StatusSwitchingProtocols)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "hello\n")
			_, _ = io.Copy(io.Discard, conn) // until the proxy closes it
		case "/logout":
			w.Header().Set("Session-Action", "destroy")
		case "/lock":
			caddytest.Echo(w, r)
		default:
			caddytest.Counter(w, r)
		}
	})
}

// connect opens a long response and reads its first line.
func connect(t *testing.T, v *caddytest.Visitor, s *caddytest.Site, path string, header string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	r, err := http.NewRequest(http.MethodGet, v.Base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	cookies := v.Jar.Cookies(r.URL)
	if len(cookies) == 0 {
		t.Fatal("no session")
	}
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: "+s.Address+"\r\nCookie: "+cookies[0].String()+"\r\n"+header+"\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("%s does not begin: %v", path, err)
		}
		if strings.Contains(line, "hello") {
			return conn, in
		}
	}
}

// TestStreamsEndWithTheirSession: a logout in another tab closes what shows
// the session, within a second, and nothing else.
func TestStreamsEndWithTheirSession(t *testing.T) {
	for _, onEnd := range []string{endClose, endKeep} {
		t.Run(onEnd, func(t *testing.T) {
			s := caddytest.NewSite(t)
			s.Load(s.Config("", "", "session shop {\n locking serialized {\n wait 0\n }\n on_end "+onEnd+"\n}\nreverse_proxy "+talker(t)))
			v, other := s.Visitor(), s.Visitor()
			v.Fetch("/")
			other.Fetch("/")
			const events, socket = "Accept: text/event-stream\r\n", "Connection: Upgrade\r\nUpgrade: websocket\r\n"
			mine := []*bufio.Reader{}
			var conns []net.Conn
			for path, header := range map[string]string{"/events": events, "/socket": socket} {
				conn, in := connect(t, v, s, path, header)
				conns, mine = append(conns, conn), append(mine, in)
			}
			kept, keptIn := connect(t, other, s, "/events", events)
			// No lock is held for them: the serialized session is free.
			v.Expect("/lock", http.StatusOK, `{"visits":1}`)
			v.Fetch("/logout")
			for i, in := range mine {
				// A stream that ends gives EOF, one that does not runs into the deadline.
				wait := 10 * time.Second // only one that stays open uses it up
				if onEnd == endKeep {
					wait = 200 * time.Millisecond
				}
				if err := conns[i].SetReadDeadline(time.Now().Add(wait)); err != nil {
					t.Fatal(err)
				}
				_, err := io.Copy(io.Discard, in)
				timeout, _ := err.(net.Error) //nolint:errorlint // of the connection itself
				if ended := timeout == nil || !timeout.Timeout(); ended != (onEnd == endClose) {
					t.Errorf("stream %d: ended %v (%v)", i, ended, err)
				}
			}
			if err := kept.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, keptIn); err == nil || !err.(net.Error).Timeout() { //nolint:errorlint // of the connection itself
				t.Errorf("another session's stream ended: %v", err)
			}
			for _, conn := range append(conns, kept) {
				_ = conn.Close()
			}
		})
	}
}
