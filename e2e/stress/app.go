package main

import (
	"bytes"
	"context"
	"crypto/sha1" // RFC 6455 asks for it
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// do is what a client tells the app to do, in the request header X-Do.
type do struct {
	Patch     json.RawMessage `json:"patch,omitempty"`
	Add       json.RawMessage `json:"add,omitempty"`
	Action    string          `json:"action,omitempty"`
	Principal string          `json:"principal,omitempty"`
	Timeout   string          `json:"timeout,omitempty"`
	Status    int             `json:"status,omitempty"`
	Sleep     int             `json:"sleep,omitempty"` // milliseconds
	Endpoint  bool            `json:"endpoint,omitempty"`
	Late      bool            `json:"late,omitempty"` // at the endpoint, after the headers
	Fill      int             `json:"fill,omitempty"` // bytes to write besides
}

// said is what the app answers: what it was shown.
type said struct {
	ID    string `json:"id"`
	State string `json:"state"`
	Data  view   `json:"data"`
	Error string `json:"error,omitempty"` // of a write at the endpoint
}

// app is the upstream.
type app struct {
	server   *http.Server
	address  string
	endpoint http.Client
	bound    context.Context // of streams
}

func startApp(ctx context.Context, h *hooks) (*app, error) {
	a := &app{bound: ctx, endpoint: http.Client{Timeout: 20 * time.Second}}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
	if err != nil {
		return nil, err
	}
	a.address = l.Addr().String()
	mux := http.NewServeMux()
	mux.Handle("/hook", h)
	mux.HandleFunc("/stream", a.stream)
	mux.HandleFunc("/socket", a.socket)
	mux.HandleFunc("/", a.serve)
	a.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = a.server.Serve(l) }()
	return a, nil
}

func shown(r *http.Request) (s said) {
	s.ID, s.State = r.Header.Get("Session-Id"), r.Header.Get("Session-State")
	if text := r.Header.Get("Session-Data"); text != "" {
		if err := json.Unmarshal([]byte(text), &s.Data); err != nil {
			s.Error = "Session-Data: " + err.Error()
		}
	}
	return s
}

func (a *app) serve(w http.ResponseWriter, r *http.Request) {
	var d do
	if err := json.Unmarshal([]byte(r.Header.Get("X-Do")), &d); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	s := shown(r)
	time.Sleep(time.Duration(d.Sleep) * time.Millisecond)
	h := w.Header()
	if d.Endpoint && !d.Late {
		s.Error = a.write(r, d)
	} else if !d.Late {
		set(h, "Session-Patch", string(d.Patch))
		set(h, "Session-Add", string(d.Add))
	}
	if d.Fill > 0 {
		h.Add("Session-Patch", fmt.Sprintf(`{"fill":%q}`, strings.Repeat("x", d.Fill)))
	}
	set(h, "Session-Action", d.Action)
	set(h, "Session-Timeout", d.Timeout)
	if d.Principal != "" {
		h.Set("Session-Principal", d.Principal)
	}
	h.Set("Content-Type", "application/json")
	if d.Status != 0 {
		w.WriteHeader(d.Status)
	}
	if d.Late {
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		s.Error = a.write(r, d)
	}
	_ = json.NewEncoder(w).Encode(s)
}

func set(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}

// write writes by the endpoint: all of it in one call, so that it is one
// transaction late, too.
func (a *app) write(r *http.Request, d do) string {
	if d.Patch == nil {
		return ""
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPatch, r.Header.Get("Session-Endpoint")+"/data", bytes.NewReader(d.Patch))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Content-Type", "application/merge-patch+json")
	resp, err := a.endpoint.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if resp.StatusCode/100 != 2 || err != nil {
		return fmt.Sprintf("%s %s %v", resp.Status, text, err)
	}
	return ""
}

// stream writes an event now and then, until its client or its session has gone.
func (a *app) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	t := time.NewTicker(250 * time.Millisecond)
	defer t.Stop()
	for {
		_, err := fmt.Fprintf(w, "data: %s %s\n\n", r.Header.Get("Session-Id"), r.Header.Get("Session-State"))
		if err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-t.C:
		case <-r.Context().Done():
			return
		case <-a.bound.Done():
			return
		}
	}
}

// socket accepts a WebSocket, and sends back what comes, frame or not.
func (a *app) socket(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 asks for it
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n%s\n",
		base64.StdEncoding.EncodeToString(sum[:]), r.Header.Get("Session-State"))
	if err == nil {
		_, _ = io.Copy(conn, rw)
	}
}

// hooks receives webhooks of sessions that have ended.
type hooks struct {
	mu    sync.Mutex
	owed  map[string]time.Time // sessions that have ended, whose webhook has not come
	early map[string]bool      // whose webhook came before the answer
	heard int
	twice int
}

func newHooks() *hooks {
	return &hooks{owed: make(map[string]time.Time), early: make(map[string]bool)}
}

func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var event struct {
		Type string
		Data struct{ Session string }
	}
	if err := json.NewDecoder(r.Body).Decode(&event); err != nil || !strings.HasPrefix(event.Type, "session.") {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.heardOf(event.Data.Session)
	w.WriteHeader(http.StatusNoContent)
}

// heardOf notes that a session's webhook has come.
func (h *hooks) heardOf(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard++
	if _, ok := h.owed[id]; !ok && h.early[id] {
		h.twice++
	}
	delete(h.owed, id)
	h.early[id] = true
}

// owe says that a session has ended.
func (h *hooks) owe(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.early[id] {
		h.owed[id] = time.Now()
	}
}

// open returns how many webhooks are missing, and one of them.
func (h *hooks) open() (n int, id string, since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for one, at := range h.owed {
		if id == "" || at.Before(since) {
			id, since = one, at
		}
	}
	return len(h.owed), id, since
}
