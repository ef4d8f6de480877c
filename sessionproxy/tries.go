package sessionproxy

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync"

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
type tries struct {
	x       *exchange
	mu      sync.Mutex   // protects what follows
	before  session.Mark // what was staged before the first try
	pending bool         // the request is under way, and no answer has begun
}

// follow returns the context with which tries are seen.
func (t *tries) follow(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { // before anything is sent
			t.mu.Lock()
			defer t.mu.Unlock()
			if t.pending {
				t.x.unstage(t.before)
				return
			}
			t.before, t.pending = t.x.mark(), true
		},
		GotFirstResponseByte: func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.pending = false
		},
	})
}

// tried runs next with a request whose tries are followed. The request is
// changed in place: a server may know it by its address.
func (t *tries) tried(w http.ResponseWriter, r *http.Request, next Next) error {
	before := r.Context()
	*r = *r.WithContext(t.follow(before))
	defer func() { *r = *r.WithContext(before) }()
	return next(w, r)
}
