package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// sessionData is what every session holds: 300 bytes of JSON.
var sessionData = func() string {
	const head = `{"user":"alice","role":"editor","cart":[{"sku":"A-1001","n":2},{"sku":"B-2002","n":1}],"theme":"dark","n":0,"csrf":"`
	return head + strings.Repeat("x", 300-len(head)-len(`"}`)) + `"}`
}()

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
	mux.HandleFunc("/data", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Session-Data"))
	})
	return mux
}
