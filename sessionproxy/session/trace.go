package session

import (
	"context"
	"errors"

	"github.com/sessionproxy/sessionproxy/store"
)

// Trace follows the steps of a request through the domain: for spans, and to
// measure them. It is called when a step begins, and returns the context for
// what happens inside of it, and what to call once when it is over; nil if
// it is not followed. A request whose opening is not followed is not followed
// further, but for the waiting for a lock. It must be safe for concurrent use.
type Trace func(ctx context.Context, step TraceStep) (context.Context, func(Traced))

// TraceStep names a step.
type TraceStep string

// The steps, by the names that their spans have.
const (
	TraceOpen     TraceStep = "session.open"      // all of Manager.Open; the next two are inside
	TraceLockWait TraceStep = "session.lock_wait" // only if the lock was taken
	TraceLoad     TraceStep = "session.load"
	TraceCommit   TraceStep = "session.commit"
)

// Traced is what a step came to. There is nothing secret in it.
type Traced struct {
	// Session and State are zero while there is no session.
	Session store.ID
	State   State
	// Outcome is one of a few words: ok; of a commit created, rotated, saved,
	// destroyed or unchanged; otherwise what failed.
	Outcome string
	// Failed says that the step ended with an error other than that the
	// session has ended.
	Failed bool
}

// tracing is one step under way. The zero value is not followed.
type tracing struct{ done func(Traced) }

func (m *Manager) trace(ctx context.Context, step TraceStep) (context.Context, tracing) {
	if m.tracer == nil {
		return ctx, tracing{}
	}
	ctx, done := m.tracer(ctx, step)
	return ctx, tracing{done}
}

func (t tracing) followed() bool { return t.done != nil }

// end tells what the step came to. s may be nil.
func (t tracing) end(s *Session, did string, err error) {
	if t.done == nil {
		return
	}
	traced := Traced{Outcome: did}
	if s != nil {
		traced.Session, traced.State = s.key.ID, s.state
	}
	if err != nil {
		traced.Outcome, traced.Failed = FailureWord(err), !errors.Is(err, store.ErrGone) && !errors.Is(err, ErrGone)
	}
	t.done(traced)
}

// traceCommit follows a commit.
func (s *Session) traceCommit(ctx context.Context) (context.Context, tracing) {
	if !s.traced {
		return ctx, tracing{}
	}
	return s.m.trace(ctx, TraceCommit)
}

const traceOK = "ok"
