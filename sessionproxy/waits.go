package sessionproxy

import (
	"context"
	"errors"
	"time"

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

// Listener returns one that counts the deliveries to l, under a name that
// configuration bounds.
func (m *Metrics) Listener(name string, l session.Listener) session.Listener {
	return &countedListener{Listener: l, metrics: m, name: name}
}

type countedListener struct {
	session.Listener
	metrics *Metrics
	name    string
}

// Hear implements session.Listener.
func (c *countedListener) Hear(ctx context.Context, e session.Event) error {
	err := c.Listener.Hear(ctx, e)
	outcome := "delivered"
	switch {
	case errors.Is(err, session.ErrHopeless):
		outcome = "hopeless"
	case err != nil:
		outcome = "failed"
	}
	c.metrics.deliveries.WithLabelValues(c.name, outcome).Inc()
	return err
}
