package sessionproxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
	"github.com/sessionproxy/sessionproxy/store"
)

// commitTimeout bounds a commit. It is generous: a commit that has not been
// answered after it is a store in trouble.
const commitTimeout = 10 * time.Second

// errReplaced stops an app that still copies a response that was replaced.
var errReplaced = errors.New("the app's response was replaced by the session proxy")

// maxDiscard is how much of a replaced response is taken in, in bytes, before
// its copying is stopped by an error, and discardTime for how long. Ordinary
// ones end by themselves: Caddy's reverse_proxy logs the headers of the
// request, the session's data among them, whenever a copy fails.
const (
	maxDiscard  = 1 << 20
	discardTime = time.Second
)

// StatusClientGone is what proxies write for a client that left before the
// upstream answered: there is no response of the app then. An app may have
// uses of its own for it.
const StatusClientGone = 499

// writer stands between the app's response and the client. Every way by which
// a response can begin passes finalize, which commits first. It holds all that
// belongs to one request, so that there is one allocation for it.
type writer struct {
	http.ResponseWriter
	r         *http.Request
	h         *Handler
	x         transaction
	id        store.ID
	before    []field // the response headers as they were before the app, or without it
	secure    bool
	scope     string     // of the tickets
	attempt   int        // more than 1 after a conflict
	presented carrierSet // by which the request bore something, good or bad
	reply     carrierSet // by which a new ticket goes back
	ticketed  bool       // the response bears a ticket, or the end of one

	// mu guards decided, and the header map while an informational
	// response goes out: the transport sends those from a goroutine of its own.
	mu          sync.Mutex
	decided     bool
	problem     *Problem        // set if the response is replaced
	discardable int             // how much of a replaced response may still come
	until       time.Time       // and until when
	again       bool            // the response is dropped, and the request made once more
	informed    bool            // an informational response has gone to the client
	stream      *session.Stream // of a response that ends with its session
	watcher     *watcher

	// cancel ends the request's work upstream, if that can be needed.
	cancel   context.CancelFunc
	restarts bool // a conflict may be answered by making the request again

	cookies    *requestJar // nil without a jar
	capability capability  // of its endpoint, if it has one
	values     injected    // the request headers for the app
	few        [4]field    // room for before: servers set a few headers of their own
}

// field is one header as it stands in the map.
type field struct {
	name   string
	values []string
}

func newWriter(w http.ResponseWriter, r *http.Request, h *Handler, s *session.Session, o *opening) *writer {
	rw := &writer{
		ResponseWriter: w, r: r, h: h, x: transaction{s: s, open: true, metrics: h.metrics}, id: s.ID(), attempt: o.request.Attempt,
		secure: o.secure, scope: o.scope, presented: o.presented.any, reply: o.presented.answer(s.ID()), cancel: o.cancel, restarts: o.restarts, cookies: o.cookies,
	}
	rw.capability = capability{x: &rw.x, h: h}
	rw.before = rw.few[:0]
	rw.snapshot(w.Header())
	return rw
}

// snapshot notes the header map as it stands, for reset.
func (w *writer) snapshot(h http.Header) {
	w.before = w.before[:0]
	for name, values := range h {
		w.before = append(w.before, field{name, values})
	}
}

// WriteHeader commits before a final status. Informational ones pass, but
// with no header of ours.
func (w *writer) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.decided {
		if w.forwarding() {
			w.ResponseWriter.WriteHeader(status)
		}
		return
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.h.count(w.h.metrics.informational, w.scrub())
		// 100 tells the client to send a body that is kept already: another
		// attempt is still possible.
		w.informed = w.informed || status != http.StatusContinue
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.finalize(status); w.forwarding() {
		w.ResponseWriter.WriteHeader(status)
	}
}

// forwarding reports whether the app's response still counts. Called with mu held.
func (w *writer) forwarding() bool { return w.problem == nil && !w.again }

// ensureFinalized makes sure that a final status was decided, and reports whether the
// app's response still counts.
func (w *writer) ensureFinalized() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.decided {
		if w.finalize(http.StatusOK); w.forwarding() {
			w.ResponseWriter.WriteHeader(http.StatusOK)
		}
	}
	return w.forwarding()
}

// Write begins the response if it has not begun.
func (w *writer) Write(p []byte) (int, error) {
	if !w.ensureFinalized() {
		return w.discard(p)
	}
	if w.watcher != nil {
		if w.watcher.over.Load() { // its session has ended
			return 0, errReplaced
		}
		w.watcher.moved.Store(true)
	}
	return w.ResponseWriter.Write(p)
}

// ReadFrom begins the response if it has not begun, and keeps the fast copy of the
// writer underneath.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	if !w.ensureFinalized() {
		return io.Copy(discarder{w}, src)
	}
	if rf, ok := w.ResponseWriter.(io.ReaderFrom); ok && w.stream == nil {
		return rf.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{w}, src)
}

// FlushError begins the response if it has not begun. http.ResponseController finds it.
func (w *writer) FlushError() error {
	if !w.ensureFinalized() {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is FlushError as the method of http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// Push keeps HTTP/2 push within reach.
func (w *writer) Push(target string, opts *http.PushOptions) error {
	if p, ok := w.ResponseWriter.(http.Pusher); ok {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}

// Unwrap lets http.ResponseController reach deadlines and full duplex.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// finish finalizes a response that was never begun: it is an empty 200.
func (w *writer) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.decided {
		w.finalize(http.StatusOK)
	}
}

// cleanup ends the session in every way that a request can end, and removes
// what must not go out later: as a trailer, or on an error page.
func (w *writer) cleanup() {
	w.mu.Lock()
	defer w.mu.Unlock()
	dropped := staged
	if !w.decided { // the app broke off
		dropped = extentOf(w.Header())
	}
	w.x.end(dropped)
	if w.stream != nil {
		w.stream.Done()
		w.watcher.stop()
	}
	switch {
	case !w.forwarding():
		w.reset(w.Header())
	case w.decided:
		h := w.Header()
		own, ok := h[ticket.BearerHeader]
		if ok = ok && w.ticketed; ok { // this one is ours, and may not have gone yet
			delete(h, ticket.BearerHeader)
		}
		w.h.count(w.h.metrics.trailer, scrubHeader(h, w.h))
		if ok {
			h[ticket.BearerHeader] = own
		}
	default:
		w.h.count(w.h.metrics.trailer, w.scrub())
	}
}

// scrub removes every header that is not for the client, at a time when no
// ticket of ours is among them.
func (w *writer) scrub() (removed int) {
	h := w.Header()
	if w.cookies != nil {
		outer, app := w.divideSetCookie(h)
		setLines(h, "Set-Cookie", outer)
		removed = len(app) // they would pass the jar
	}
	return removed + scrubHeader(h, w.h) + w.h.stripSetCookie(h) + ticket.StripHeaders(h, w.h.names) + ticket.StripTickets(h, w.h.keys())
}
