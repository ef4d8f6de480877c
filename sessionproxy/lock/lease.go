package lock

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/guard"
	"github.com/sessionproxy/sessionproxy/store"
)

// A lease lasts leaseTime, and is prolonged each leaseRenew while its request
// runs: a process that dies keeps others out for that long. A request that
// finds a lease taken asks again within leaseAsk.
const (
	leaseTime  = 10 * time.Second
	leaseRenew = leaseTime / 3
	leaseAsk   = 40 * time.Millisecond
)

// Lease is the part of a session's lock that other processes see: one that is
// held, until Release.
type Lease struct {
	stop context.CancelFunc
	done chan struct{} // closed when it has been given back
}

// TakeLease takes the lease of key, asking again for at most wait; a wait of
// zero asks once. It returns an error wrapping ErrLocked when another process
// kept it, or that of the context or the store.
func TakeLease(ctx context.Context, st store.Leaser, key store.Key, wait time.Duration) (*Lease, error) {
	holder, until := store.NewHolder(), time.Now().Add(wait)
	for {
		err := st.Lease(ctx, key, holder, leaseTime)
		switch {
		case err == nil:
			return newLease(ctx, st, key, holder), nil
		case errors.Is(err, store.ErrUnknown) || ctx.Err() != nil: // it may be ours all the same
			newLease(ctx, st, key, holder).Release()
			return nil, err
		case !errors.Is(err, store.ErrLeased):
			return nil, err
		}
		left := time.Until(until)
		if left <= 0 {
			return nil, fmt.Errorf("%w: %w", ErrLocked, err)
		}
		again := time.NewTimer(min(left, leaseAsk/2+rand.N(leaseAsk/2))) //nolint:gosec // a pause is no secret
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil, context.Cause(ctx)
		}
	}
}

// newLease keeps a lease that was taken until its end. It outlives ctx.
func newLease(ctx context.Context, st store.Leaser, key store.Key, holder uint64) *Lease {
	ctx = context.WithoutCancel(ctx)
	running, stop := context.WithCancel(ctx)
	l := &Lease{stop: stop, done: make(chan struct{})}
	ask := func(ctx context.Context, ttl time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, leaseRenew)
		defer cancel()
		return guard.Run(func() error { return st.Lease(ctx, key, holder, ttl) })
	}
	go func() {
		defer close(l.done)
		again := time.NewTicker(leaseRenew)
		defer again.Stop()
		for tick := again.C; ; {
			select {
			case <-tick:
				// A lost lease stays lost: its new holder may have saved, and
				// then the version refuses this request's commit.
				if errors.Is(ask(running, leaseTime), store.ErrLeased) {
					tick = nil
				}
			case <-running.Done():
				_ = ask(ctx, 0) // it expires if the store does not answer
				return
			}
		}
	}()
	return l
}

// Release gives the lease back, and returns when that is done.
func (l *Lease) Release() {
	l.stop()
	<-l.done
}
