package sessionproxy

import (
	"bufio"
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
	x      *transaction
	cancel func()
	client http.ResponseWriter
	timer  *time.Timer
	moved  atomic.Bool // bytes have flowed since the last look
	over   atomic.Bool

	mu       sync.Mutex  // protects what follows
	conn     net.Conn    // when it was taken over
	returned bool        // the handler has: client belongs to the server again
	again    *time.Timer // of stopWriting
}

// An open response's activity is counted, and its session looked at, this often.
const (
	lookEvery = 10 * time.Second // at least
	lookLeast = 250 * time.Millisecond
	// lookFirst is when a response is looked at that may be a short one.
	lookFirst = 500 * time.Millisecond
)

func isEventStream(h http.Header) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "text/event-stream")
}

// isOpenEnded reports whether a response has a body whose length was not
// announced. Only its end shows whether it was a stream: requests do not
// always say that they want one.
func isOpenEnded(r *http.Request, status int, h http.Header) bool {
	return h["Content-Length"] == nil && r.Method != http.MethodHead &&
		status != http.StatusNoContent && status != http.StatusNotModified
}

// watch begins to watch a response that stays open, once its session has been
// committed. Called with mu held.
func (w *writer) watch(status int, h http.Header) {
	if !w.h.EndStreams || !w.forwarding() {
		return
	}
	switch {
	case status == http.StatusSwitchingProtocols, w.r.Method == http.MethodConnect, isEventStream(h):
		w.startWatch(0) // its session may have ended since it was opened
	case isOpenEnded(w.r, status, h):
		w.startWatch(lookFirst)
	}
}

// startWatch begins to watch the response, and looks at its session for the
// first time after the delay.
func (w *writer) startWatch(delay time.Duration) {
	t := &watcher{x: &w.x, cancel: w.cancel, client: w.ResponseWriter}
	t.timer = time.AfterFunc(lookEvery, t.look)
	if w.stream = w.x.watch(t.end); w.stream == nil {
		t.stop() // there is no session that could end
		return
	}
	w.watcher = t
	t.timer.Reset(delay)
}

// end cuts the response off: its work upstream, and a write that waits for a
// client that does not read.
func (t *watcher) end() {
	if t.over.Swap(true) {
		return
	}
	t.cancel()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.conn != nil:
		abort(t.conn)
	default:
		t.stopWriting()
	}
}

// stopWriting fails the write that waits for the client, again and again until
// the handler has returned: a write that began meanwhile may have moved the
// deadline. Called with mu held.
func (t *watcher) stopWriting() {
	if t.returned {
		return
	}
	// The writers in between keep their own notes of deadlines, for the
	// goroutine that writes alone.
	_ = http.NewResponseController(innermost(t.client)).SetWriteDeadline(longAgo) // not every server can
	t.again = time.AfterFunc(stopWritingEvery, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.stopWriting()
	})
}

const stopWritingEvery = 100 * time.Millisecond

// innermost returns the server's own writer.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = u.Unwrap()
	}
}

// longAgo is a deadline that has passed, by the real clock.
var longAgo = time.Unix(1, 0)

// abort closes a connection without a word: Close of a TLS connection sends an
// alert first, and waits for seconds until a full send buffer has room for it.
func abort(conn net.Conn) {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	_ = conn.Close()
}

// stop ends the watch; the response is over.
func (t *watcher) stop() {
	t.over.Store(true)
	t.timer.Stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.returned = true
	if t.again != nil {
		t.again.Stop()
	}
}

// look counts activity, and ends the response of a session that has expired.
func (t *watcher) look() {
	if t.over.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	left, err := t.x.keepAlive(ctx, t.moved.Swap(false))
	switch {
	case errors.Is(err, session.ErrGone):
		t.end()
	case err == nil: // twice before the end, so that what flows is counted in time
		t.timer.Reset(max(min(left/2, lookEvery), lookLeast))
	default: // a store in trouble ends no stream
		t.timer.Reset(lookEvery)
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
		abort(conn)
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

// Hijack hands over the connection, but not to an app whose response was
// replaced. An app that hijacks before any header cannot write a session.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	if !w.decided {
		w.decided = true
		w.x.rollBack(w.r.Context(), staged)
	}
	passes := w.forwarding()
	w.mu.Unlock()
	if !passes {
		return nil, nil, errReplaced
	}
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		conn = w.watchConn(conn)
	}
	return conn, rw, err
}
