package sessionproxy

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"syscall"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// tries follows what becomes of a request on its way to the app. A proxy may
// send it more than once: to another upstream, or on a new connection when the
// old one turns out to be dead. For the session that is one request, and what
// a try that was never answered has staged at the endpoint is not part of it.
//
// The URL of the endpoint is the same for all tries, since the proxy copies the
// request's headers once. Tries that net/http's transport does not make, as
// those of FastCGI, are not seen.
//
// A handler that copies the request to another place, while the first one still
// works at it, makes no further try: what is staged then stays.
type tries struct {
	x       *transaction
	mu      sync.Mutex   // protects what follows
	before  session.Mark // what was staged before the first try
	pending bool         // the request is under way, and no answer has begun
	conn    net.Conn     // of the last try
	copied  bool         // the request was sent to several places at once
}

// follow returns the context with which tries are seen.
func (t *tries) follow(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { // before anything is sent
			t.mu.Lock()
			defer t.mu.Unlock()
			switch {
			case t.copied:
				return
			case !t.pending:
				t.before, t.pending = t.x.mark(), true
			case t.conn != info.Conn && inUse(t.conn):
				t.copied = true
			default:
				t.x.unstage(t.before)
			}
			t.conn = info.Conn
		},
		GotFirstResponseByte: func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.pending = false
		},
	})
}

// inUse reports whether a try may still be under way on its connection. The
// transport closes that of a try that has failed before it makes another,
// unless it is one of HTTP/2: other requests use it, too.
func inUse(conn net.Conn) bool {
	if c, ok := conn.(*tls.Conn); ok {
		if c.ConnectionState().NegotiatedProtocol == "h2" {
			return false
		}
		conn = c.NetConn()
	}
	c, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	return err == nil && raw.Control(func(uintptr) {}) == nil // refused once it is closed
}

// tried runs next with a request whose tries are followed. The request is
// changed in place: a server may know it by its address.
func (t *tries) tried(w http.ResponseWriter, r *http.Request, next Next) error {
	before := r.Context()
	*r = *r.WithContext(t.follow(before))
	defer func() { *r = *r.WithContext(before) }()
	return next(w, r)
}
