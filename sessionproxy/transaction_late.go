package sessionproxy

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// reopen opens the session once more after an early commit. If another
// request's sign-in has replaced the ticket since then, a write is that of a
// late tab: a sign-in begins a fresh session. Called with mu held.
func (x *transaction) reopen(ctx context.Context, write bool) (*session.Session, error) {
	s, err := x.s.Reopen(ctx)
	if write && errors.Is(err, session.ErrReplaced) {
		return x.s.Late()
	}
	return s, err
}

// doAfterHeaders is do after the response headers: a transaction of its own. Called
// with mu held.
func (x *transaction) doAfterHeaders(ctx context.Context, write bool, f func(*session.Session) error) error {
	s, err := x.reopenLate(ctx, write)
	if err != nil {
		return err
	}
	defer s.Rollback()
	if err := f(s); err != nil {
		return err
	}
	out, err := s.Commit(ctx, change.Changes{})
	if err != nil {
		x.metrics.countRefused(err)
		return err
	}
	x.metrics.count(out)
	return nil
}

// reopenLate opens the session once more after the response headers. A write waits
// for its turn among all requests of the session; other calls, and the end of the
// request, do not wait for it: mu is free meanwhile. Called with mu held.
func (x *transaction) reopenLate(ctx context.Context, write bool) (*session.Session, error) {
	last := x.s
	if !write || !last.LocksWrites() {
		return last.Reopen(ctx)
	}
	if x.ctx == nil {
		x.ctx, x.cancel = context.WithCancelCause(context.Background())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(x.ctx, func() { cancel(session.ErrObsolete) })() //nolint:contextcheck // two lives end it: the call's, and the request's
	x.mu.Unlock()
	s, err := last.ReopenLocked(ctx)
	x.mu.Lock()
	if err == nil && x.ended {
		s.Rollback()
		return nil, session.ErrObsolete
	}
	return s, err
}

// extendDeadlines gives a call that may wait for the session's lock the time for it:
// the server's own limits are for callers that dawdle.
func (k *call) extendDeadlines() {
	server, ok := k.r.Context().Value(http.ServerContextKey).(*http.Server)
	policy := k.h.Manager.Policy()
	if !ok || policy.Locking != session.Serialized {
		return
	}
	control, until := http.NewResponseController(k.w), time.Now().Add(policy.Wait)
	if d := server.ReadTimeout; d > 0 { // also ends the context of a call that was read to its end
		_ = control.SetReadDeadline(until.Add(d)) // best effort
	}
	if d := server.WriteTimeout; d > 0 {
		_ = control.SetWriteDeadline(until.Add(d))
	}
}
