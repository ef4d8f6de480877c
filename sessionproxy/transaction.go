package sessionproxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// errNoBrowser refuses what would need a new ticket after the headers have gone.
var errNoBrowser = fmt.Errorf("%w: the response headers have gone, and no ticket can follow", change.ErrConflict)

// transaction is one request's use of its session. The response headers and the
// endpoint are two views of it: what the endpoint writes is staged, and
// committed with the headers. After them each write commits by itself. Safe
// for concurrent use: an app may call from several threads.
type transaction struct {
	mu    sync.Mutex
	s     *session.Session // the transaction under way, or the last one
	open  bool             // s takes writes
	sent  bool             // the response headers have gone
	ended bool             // the request is over
	early session.Outcome  // of commits before the headers
	begun bool             // there was such a commit

	// ctx is cancelled when the request ends; made for the first call that
	// has to wait for something.
	ctx    context.Context
	cancel context.CancelCauseFunc

	metrics *managerMetrics
}

// do calls f with the session as this request sees it now. Before the
// headers that is the one with everything staged; after them a fresh one,
// which is committed if f returns without error. write says that f stages
// something: after the headers it then waits for the session's lock, if the
// policy has one.
func (x *transaction) do(ctx context.Context, write bool, f func(*session.Session) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended {
		return session.ErrObsolete
	}
	if x.sent {
		return x.doAfterHeaders(ctx, write, f)
	}
	if !x.open {
		s, err := x.reopen(ctx, write)
		if err != nil {
			return err
		}
		x.s, x.open = s, true
	}
	return f(x.s)
}

// stage adds changes, if allowed says that the data as it is may be changed.
// It returns the data afterwards, and its tag.
// conditional says that the answer of allowed depends on the data: after the
// headers the commit then holds it to that very version.
func (x *transaction) stage(ctx context.Context, c change.Changes, conditional bool, allowed func(*session.Session) error) (data []byte, tag string, err error) {
	committed := false
	err = x.do(ctx, c.Writes(), func(s *session.Session) error {
		if err := allowed(s); err != nil {
			return err
		}
		if x.sent && (c.Regenerate || c.Principal != nil || s.State() != session.Active) {
			return errNoBrowser
		}
		if x.sent && conditional {
			version := s.Meta().Version.String()
			c.IfVersion = &version
		}
		if err := s.Stage(c); err != nil {
			return err
		}
		data, tag = s.Staged()
		committed = x.sent
		return nil
	})
	if err != nil || !committed || c.Destroy {
		return data, tag, err
	}
	// The commit may have met newer data, and has made another version.
	err = x.do(ctx, false, func(s *session.Session) error { data, tag = s.Staged(); return nil })
	return data, tag, err
}

// commitEarly commits what is staged before the response headers. Writes that
// follow are a transaction of their own, without the lock: only after the
// headers does each take it.
func (x *transaction) commitEarly(ctx context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.ended:
		return session.ErrObsolete
	case !x.open || x.sent: // nothing is staged
		return nil
	}
	out, err := x.s.Commit(ctx, change.Changes{})
	x.s, x.open = x.s.Successor(), false
	if err != nil {
		x.metrics.countRefused(err)
		return err
	}
	x.metrics.count(out)
	x.early, x.begun = x.early.Then(out), true
	return nil
}

// commit commits what is staged and the changes of the response headers. It
// returns what the browser has to learn, of earlier commits too.
func (x *transaction) commit(ctx context.Context, c change.Changes) (session.Outcome, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sent = true
	if !x.open {
		s, err := x.reopen(ctx, c.Writes() || c.Cookies != nil)
		switch {
		case err == nil:
			x.s = s
		case c.None() && (c.Cookies == nil || errors.Is(err, session.ErrGone)):
			return x.early, nil // nothing is lost, or it is to be
		case c.Destroy && errors.Is(err, session.ErrGone):
			return x.early.Then(session.Outcome{ClearTicket: true}), nil // twice is once
		default:
			return session.Outcome{}, err
		}
	}
	x.open = false
	out, err := x.s.Commit(ctx, c)
	x.s = x.s.Successor()
	if err != nil {
		x.early = x.early.Then(out) // of cookies, which are committed all the same
		return session.Outcome{}, err
	}
	x.metrics.count(out)
	return x.early.Then(out), nil
}

// extent says what is dropped with a transaction.
type extent int

const (
	staged           extent = iota // by the endpoint, if anything
	stagedAndHeaders               // and writes of the response headers
)

// extentOf returns what is dropped with a transaction whose response has these headers.
func extentOf(h http.Header) extent {
	if hasWrites(h) {
		return stagedAndHeaders
	}
	return staged
}

// rollBack drops what is not committed, for good. It returns what the browser
// has to learn all the same, of earlier commits for instance.
func (x *transaction) rollBack(ctx context.Context, e extent) session.Outcome {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sent, x.open = true, false
	x.drop(e)
	return x.early.Then(x.s.Current(ctx))
}

// drop drops what is not committed. Called with mu held.
func (x *transaction) drop(e extent) {
	if e == stagedAndHeaders {
		x.s.RollbackAll()
	} else {
		x.s.Rollback()
	}
}

// mark notes what is staged before a try.
func (x *transaction) mark() session.Mark {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.s.Mark()
}

// unstage drops what a try that was never answered has staged. What was
// committed early stays.
func (x *transaction) unstage(to session.Mark) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.open && !x.sent {
		x.s.UnstageTo(to)
	}
}

// committedEarly reports whether something cannot be undone any more.
func (x *transaction) committedEarly() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.begun
}

// wrote reports whether the endpoint has staged something.
func (x *transaction) wrote() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.open && x.s.HasStaged()
}

// end ends the transaction, in every way that a request can end, and drops what
// is not committed.
func (x *transaction) end(e extent) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ended, x.open = true, false
	if x.cancel != nil {
		x.cancel(session.ErrObsolete)
	}
	x.drop(e)
}

// watch notes a response that stays open. It returns nil if there is no
// session that could end.
func (x *transaction) watch(cancel func()) *session.Stream {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.s.Watch(cancel)
}

// keepAlive counts an open response as activity, and returns when to look again
// if nothing more happens, or session.ErrGone.
func (x *transaction) keepAlive(ctx context.Context, active bool) (time.Duration, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended {
		return 0, session.ErrObsolete
	}
	return x.s.KeepAlive(ctx, active)
}
