package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// sessionData is what every session holds: 300 bytes of JSON.
var sessionData = func() string {
	const head = `{"user":"alice","role":"editor","cart":[{"sku":"A-1001","n":2},{"sku":"B-2002","n":1}],"theme":"dark","n":0,"csrf":"`
	return head + strings.Repeat("x", 300-len(head)-len(`"}`)) + `"}`
}()

// threeCookies are those of a signed-in visitor.
var threeCookies = []string{
	"sid=0123456789abcdef0123456789abcdef; Path=/; HttpOnly",
	"user_id=1; Max-Age=15552000; Path=/; HttpOnly",
	"user_name=alice; Max-Age=15552000; Path=/; HttpOnly",
}

// fullJar is as many cookies as a jar takes, of 100 bytes each: name and value.
func fullJar() (lines []string) {
	for i := range 128 {
		lines = append(lines, fmt.Sprintf("c%03d=%096d; Path=/; HttpOnly", i, i))
	}
	return lines
}

// serveUpstream answers on a port of its own, which it prints, until its
// input ends: that of a parent that died ends too.
func serveUpstream(ctx context.Context, in io.Reader, out io.Writer) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &http.Server{Handler: upstream(), ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		_ = s.Close()
	}()
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	if err := s.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// upstream is the tiny app behind every proxy.
func upstream() http.Handler {
	var count atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/read", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok")
	})
	mux.HandleFunc("/write", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Session-Patch", fmt.Sprintf(`{"n":%d}`, count.Add(1)))
		_, _ = io.WriteString(w, "ok")
	})
	mux.HandleFunc("/begin", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Session-Data", sessionData)
		_, _ = io.WriteString(w, "ok")
	})
	for path, cookies := range map[string][]string{
		"/cookies/three": threeCookies, "/cookies/repeat": threeCookies[:1], "/cookies/full": fullJar(),
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			if path != "/cookies/repeat" {
				w.Header().Set("Session-Data", sessionData)
			}
			w.Header()["Set-Cookie"] = cookies
			_, _ = io.WriteString(w, "ok")
		})
	}
	mux.HandleFunc("/cookies/change", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", fmt.Sprintf("sid=%032d; Path=/; HttpOnly", count.Add(1)))
		_, _ = io.WriteString(w, "ok")
	})
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Session-Data", fmt.Sprintf(`{"upload":%q}`, r.URL.Query().Get("name")))
		_, _ = io.WriteString(w, "ok")
	})
	mux.HandleFunc("/key", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		w.Header().Set("Session-Patch", fmt.Sprintf(`{"k%s":%s}`, q.Get("k"), q.Get("v")))
		_, _ = io.WriteString(w, "ok")
	})
	mux.HandleFunc("/increment", func(w http.ResponseWriter, r *http.Request) {
		var data struct{ N int64 }
		if err := json.Unmarshal([]byte(r.Header.Get("Session-Data")), &data); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Session-Patch", fmt.Sprintf(`{"n":%d}`, data.N+1))
		_, _ = io.WriteString(w, "ok")
	})
	mux.HandleFunc("/static", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, sessionData)
	})
	var held holders
	mux.HandleFunc("/hold", held.hold)
	mux.HandleFunc("/held", held.held)
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	mux.HandleFunc("/data", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Session-Data"))
	})
	return mux
}

// holders are requests that the app keeps open, each under a name, so that
// others can call their endpoints.
type holders struct {
	mu    sync.Mutex
	names map[string]chan string
}

func (h *holders) of(name string) chan string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.names == nil {
		h.names = make(map[string]chan string)
	}
	if h.names[name] == nil {
		h.names[name] = make(chan string, 1)
	}
	return h.names[name]
}

// hold keeps a request open until its client leaves.
func (h *holders) hold(_ http.ResponseWriter, r *http.Request) {
	h.of(r.URL.Query().Get("name")) <- r.Header.Get("Session-Endpoint")
	<-r.Context().Done()
}

// held answers with the endpoint of a request that is held, once it is.
func (h *holders) held(w http.ResponseWriter, r *http.Request) {
	select {
	case endpoint := <-h.of(r.URL.Query().Get("name")):
		_, _ = io.WriteString(w, endpoint)
	case <-r.Context().Done():
	}
}
