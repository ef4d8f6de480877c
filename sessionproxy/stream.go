package sessionproxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// watcher ends a response that stays open when its session ends, and counts
// the bytes that flow as activity.
type watcher struct {
	x      *exchange
	cancel func()
	timer  *time.Timer
	mu     sync.Mutex
	conn   net.Conn    // when it was taken over; protected by mu
	moved  atomic.Bool // bytes have flowed since the last look
	over   atomic.Bool
}

// An open response's activity is counted, and its session looked at, this often.
const (
	lookEvery = 10 * time.Second // at least
	lookLeast = 250 * time.Millisecond
)

func isEventStream(h http.Header) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "text/event-stream")
}

// mayStream reports whether a request asks for a response that stays open:
// such a one can be cancelled. It costs something, so others cannot.
func mayStream(r *http.Request) bool {
	return r.Header["Upgrade"] != nil || r.Method == http.MethodConnect ||
		strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// watch begins to watch a response that stays open, once its session has been
// committed. Called with mu held.
func (w *writer) watch(status int, h http.Header) {
	if !w.h.EndStreams || !w.passes() {
		return
	}
	if status != http.StatusSwitchingProtocols && w.r.Method != http.MethodConnect && !isEventStream(h) {
		return
	}
	if w.cancel == nil { // nobody said that it would stream: it is cut off at its next byte
		w.cancel = func() { w.cut.Store(true) }
	}
	w.startWatch(w.cancel)
}

func (w *writer) startWatch(cancel func()) {
	t := &watcher{x: &w.x, cancel: cancel}
	t.timer = time.AfterFunc(lookEvery, t.look)
	if w.stream = w.x.watch(t.end); w.stream == nil {
		t.stop() // there is no session that could end
		return
	}
	w.watcher = t
	t.timer.Reset(0) // it may have ended since it was opened
}

// end cuts the response off.
func (t *watcher) end() {
	if t.over.Swap(true) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cancel()
	if t.conn != nil {
		_ = t.conn.Close()
	}
}

// stop ends the watch; the response is over.
func (t *watcher) stop() {
	t.over.Store(true)
	t.timer.Stop()
}

// look counts activity, and ends the response of a session that has expired.
func (t *watcher) look() {
	if t.over.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	left, err := t.x.alive(ctx, t.moved.Swap(false))
	switch {
	case errors.Is(err, session.ErrGone):
		t.end()
	case err == nil: // twice before the end, so that what flows is counted in time
		t.timer.Reset(max(min(left/2, lookEvery), lookLeast))
	default: // a store in trouble ends no stream
		t.timer.Reset(lookEvery)
	}
}

// active notes that bytes have flowed.
func (w *writer) active() {
	if w.watcher != nil {
		w.watcher.moved.Store(true)
	}
}

// watchConn watches a connection that was taken over.
func (w *writer) watchConn(conn net.Conn) net.Conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watcher == nil {
		return conn
	}
	t := w.watcher
	t.mu.Lock()
	t.conn = conn
	t.mu.Unlock()
	if t.over.Load() { // it ended just now
		_ = conn.Close()
	}
	return &watchedConn{Conn: conn, watcher: t}
}

// watchedConn is a connection that is closed when its session ends.
type watchedConn struct {
	net.Conn
	watcher *watcher
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.watcher.moved.Store(true)
	}
	return n, err
}

func (c *watchedConn) Write(p []byte) (int, error) {
	c.watcher.moved.Store(true)
	return c.Conn.Write(p)
}
