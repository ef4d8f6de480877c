package sessionproxy

import (
	"context"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/delivery"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// Trace returns what measures how long the requests of a manager wait for
// locks; it is for session.Options. Whatever else follows their steps is next,
// when not nil.
func (m *Metrics) Trace(manager string, next session.Trace) session.Trace {
	waits := m.lockWait.WithLabelValues(manager)
	return func(ctx context.Context, step session.TraceStep) (context.Context, func(session.Traced)) {
		var done func(session.Traced)
		if next != nil {
			ctx, done = next(ctx, step)
		}
		if step != session.TraceLockWait {
			return ctx, done
		}
		began := time.Now()
		return ctx, func(t session.Traced) {
			waits.Observe(time.Since(began).Seconds())
			if done != nil {
				done(t)
			}
		}
	}
}

// ObserveAttempt counts an attempt to tell a listener of an event; it is for
// delivery.Observer. Configuration bounds the names of listeners.
func (m *Metrics) ObserveAttempt(t delivery.Attempt) {
	m.deliveries.WithLabelValues(t.Listener, string(t.Result)).Inc()
}

// ObserveDropped counts a rollback that was not told, since too many waited.
func (m *Metrics) ObserveDropped(listener string) {
	m.deliveries.WithLabelValues(listener, "lost").Inc()
}
