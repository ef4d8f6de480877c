package sessionproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
)

// Restart says when a request whose commit met a conflict is made again.
type Restart struct {
	// Times is how often at most; the last time the request has the
	// session's lock. Zero means never.
	Times int
	// Replayable reports whether a request can be repeated besides those of
	// safe methods (RFC 9110 §9.2.1); nil means none.
	Replayable func(*http.Request) bool
	// Prepare is called once, before the first attempt, and returns what
	// readies the request for each attempt, the first one included, and what
	// is called after the last one; both change the request in place. nil
	// means that there is nothing to do. What an attempt began may go on using
	// the state that it was given.
	Prepare func(*http.Request) (attempt, end func(*http.Request))
	// BodyLimit is the largest request body that is kept for it, in bytes.
	BodyLimit int64
}

// allows reports whether the request may be made more than once.
func (c *Restart) allows(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return r.Header["Upgrade"] == nil
	}
	return c.Replayable != nil && c.Replayable(r)
}

// keepBody reads the body so that it can be sent again, and reports whether
// it is whole: one that is larger than the limit goes on as a stream.
func (c *Restart) keepBody(r *http.Request) (body []byte, whole bool, err error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, true, nil
	}
	body, err = io.ReadAll(io.LimitReader(r.Body, c.BodyLimit+1))
	if err != nil {
		return nil, false, err
	}
	if int64(len(body)) > c.BodyLimit {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		return nil, false, nil
	}
	return body, true, nil
}

// serveRestarting makes the request until its commit meets no conflict, the
// times are used up, or something has gone to the client.
func (h *Handler) serveRestarting(w http.ResponseWriter, r *http.Request, next Next, o opening) error {
	body, whole, err := h.Restart.keepBody(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRequestBody, err)
	}
	if !whole {
		return h.cancellable(w, r, next, o)
	}
	prepare := func(*http.Request) {}
	if h.Restart.Prepare != nil {
		var end func(*http.Request)
		prepare, end = h.Restart.Prepare(r)
		defer end(r)
	}
	came := *r
	for o.request.Attempt = 1; ; o.request.Attempt++ {
		o.restarts = o.request.Attempt <= h.Restart.Times
		o.request.Exclusive = !o.restarts
		// Whatever handlers change in the request, the next attempt begins
		// with the one that came.
		*r = *came.Clone(came.Context())
		prepare(r)
		if body != nil {
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		err := h.cancellable(w, r, next, o)
		if !errors.Is(err, errAgain) {
			return err
		}
		h.metrics.restarted.Inc()
		if err := pause(r.Context(), o.request.Attempt); err != nil {
			return err
		}
	}
}

// cancellable is attempt for a request whose work may have to end early. The
// request gets another context for so long, in place: a server may know it by
// its address, as Caddy's placeholders do.
func (h *Handler) cancellable(w http.ResponseWriter, r *http.Request, next Next, o opening) error {
	before := r.Context()
	ctx, cancel := context.WithCancel(before)
	defer cancel()
	o.cancel = cancel
	*r = *r.WithContext(ctx)
	defer func() { *r = *r.WithContext(before) }()
	return h.attempt(w, r, next, o)
}

// ErrRequestBody says that the body of a request could not be read before it
// was passed on.
var ErrRequestBody = errors.New("reading the request's body")

// errAgain says that an attempt has to be repeated.
var errAgain = errors.New("the request is made again")

// pause keeps apart requests that have met once.
func pause(ctx context.Context, attempt int) error {
	timer := time.NewTimer(rand.N(time.Duration(attempt) * 5 * time.Millisecond)) //nolint:gosec // a pause is no secret
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// mayRestart reports whether a failed commit is answered by another attempt:
// nothing may be with the client, or be committed.
func (w *writer) mayRestart(err error) bool {
	return w.restartable() && errors.Is(err, change.ErrConflict) && !errors.Is(err, change.ErrIfVersion)
}

// restartable reports whether a conflict can be answered by another attempt.
func (w *writer) restartable() bool { return w.restarts && !w.informed && !w.x.committedEarly() }

// restart drops the app's response, but for its cookies: the app has done what
// they tell, and the next attempt is shown them. A body that ends soon is taken in, so that
// its connection can be used again; any other one is cut off.
func (w *writer) restart(h http.Header, cookies *change.Cookies) {
	w.again = true
	if cookies != nil {
		w.cookies.earlier = cookies.Wishes
	}
	if n := contentLength(h); n >= 0 && n <= maxDiscard {
		w.discardable, w.until = maxDiscard, time.Now().Add(discardTime)
		time.AfterFunc(discardTime, w.cancel) // one that stalls
	} else {
		w.cancel()
	}
	w.reset(h)
}
