package delivery

import (
	"context"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/guard"
	"github.com/sessionproxy/sessionproxy/store"
)

const (
	// sweepBatch is how many sessions are looked at in one call of the store.
	sweepBatch = 256
	// sweepPause bounds the pause between two calls, which is as long as the
	// last call took: it leaves time to requests.
	sweepPause = 20 * time.Millisecond
)

// sweeper ends the expired sessions of one store, at once and then at every
// interval, until its context ends. Before the first configuration it ends
// nothing: the listeners are not known yet.
type sweeper struct {
	store         store.Sweeper
	subscriptions *event.Subscriptions
	observer      *Observer
	clock         *clockGuard
	interval      func() time.Duration
	changed       <-chan struct{} // has a value when the interval has changed
}

func (s *sweeper) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		configured := s.subscriptions.Changed()
		wait := s.interval()
		if s.subscriptions.Configured() {
			configured = nil
			err := guard.Run(func() error { return s.sweep(ctx) })
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				failures++
				wait = max(wait, storeBackoff(failures))
				s.observer.failed("sweeping expired sessions", err)
			default:
				failures = 0
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-configured:
		case <-s.changed:
		}
		timer.Stop()
	}
}

// sweep ends all that have expired.
func (s *sweeper) sweep(ctx context.Context) error {
	for {
		now, by, hold := s.clock.check()
		if by != 0 {
			s.observer.clockJumped(by, hold)
		}
		if hold > 0 {
			return nil
		}
		began := time.Now()
		_, more, err := s.store.Sweep(ctx, now, sweepBatch)
		if err != nil || !more {
			return err
		}
		if !sleep(ctx, min(time.Since(began), sweepPause)) {
			return ctx.Err()
		}
	}
}

// sleep waits, and reports false if the context ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
