package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// A lease lasts leaseTime, and is prolonged each leaseRenew while its request
// runs: a process that dies keeps others out for that long. Who finds a lease
// taken asks again within leaseAsk.
const (
	leaseTime  = 10 * time.Second
	leaseRenew = leaseTime / 3
	leaseAsk   = 40 * time.Millisecond
)

// lease is the part of a session's lock that other processes see.
type lease struct {
	store  store.Leaser
	key    store.Key
	holder uint64
	stop   context.CancelFunc

	mu    sync.Mutex // held while the store is asked; protects timer
	timer *time.Timer
}

// takeLease takes the lease of key, asking again for at most wait; a wait of
// zero asks once. It returns an error wrapping ErrLocked when another process
// kept it, or that of the context or the store.
func takeLease(ctx context.Context, st store.Leaser, key store.Key, wait time.Duration) (*lease, error) {
	holder, until := store.NewHolder(), time.Now().Add(wait)
	for {
		err := st.Lease(ctx, key, holder, leaseTime)
		switch {
		case err == nil:
			return newLease(st, key, holder), nil
		case !errors.Is(err, store.ErrLeased):
			return nil, err
		}
		left := time.Until(until)
		if left <= 0 {
			return nil, fmt.Errorf("%w: %w", ErrLocked, err)
		}
		again := time.NewTimer(min(left, leaseAsk/2+rand.N(leaseAsk/2)))
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil, context.Cause(ctx)
		}
	}
}

func newLease(st store.Leaser, key store.Key, holder uint64) *lease {
	ctx, stop := context.WithCancel(context.Background())
	l := &lease{store: st, key: key, holder: holder, stop: stop}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(leaseRenew, func() { l.renew(ctx) })
	return l
}

// renew prolongs the lease. One that is lost stays lost: whoever has it may
// have saved, and then this request's commit is refused by its version.
func (l *lease) renew(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	ask, cancel := context.WithTimeout(ctx, leaseRenew)
	defer cancel()
	if err := l.store.Lease(ask, l.key, l.holder, leaseTime); !errors.Is(err, store.ErrLeased) {
		l.timer.Reset(leaseRenew)
	}
}

// end gives the lease back. If the store cannot be told, it runs out.
func (l *lease) end() {
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), leaseRenew)
	defer cancel()
	_ = l.store.Lease(ctx, l.key, l.holder, 0)
}
