package lock

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/guard"
	"github.com/sessionproxy/sessionproxy/store"
)

// A lease lasts leaseTime, and is prolonged each leaseRenew while its request
// runs: a process that dies keeps others out for that long. A request that
// finds a lease taken asks again within leaseAsk. What is due within leaseEarly
// is prolonged together, at most leaseSlots at once.
const (
	leaseTime  = 10 * time.Second
	leaseRenew = leaseTime / 3
	leaseAsk   = 40 * time.Millisecond
	leaseEarly = leaseRenew / 8
	leaseSlots = 16
)

// Leases are those that this process has in one store. One timer prolongs all
// of them; it runs while there are any. Safe for concurrent use.
type Leases struct {
	store store.Leaser
	slots chan struct{} // of calls that prolong

	mu    sync.Mutex // protects what follows
	held  map[*Lease]struct{}
	timer *time.Timer // nil while nothing is to be prolonged
	fires time.Time   // when the timer does
}

// NewLeases returns an empty one.
func NewLeases(st store.Leaser) *Leases {
	return &Leases{store: st, slots: make(chan struct{}, leaseSlots), held: make(map[*Lease]struct{})}
}

// Lease is the part of a session's lock that other processes see: one that is
// held, until Release.
type Lease struct {
	of     *Leases
	ctx    context.Context // of calls that prolong
	stop   context.CancelFunc
	key    store.Key
	holder uint64

	// Protected by of.mu:
	next     time.Time     // when it is prolonged
	queued   bool          // it is about to be
	renewing chan struct{} // closed when a call that prolongs has ended; nil without one
}

// Take takes the lease of key, asking again for at most wait; a wait of zero
// asks once. It returns an error wrapping ErrLocked when another process kept
// it, or that of the context or the store.
func (l *Leases) Take(ctx context.Context, key store.Key, wait time.Duration) (*Lease, error) {
	holder, until := store.NewHolder(), time.Now().Add(wait)
	for {
		err := l.store.Lease(ctx, key, holder, leaseTime)
		switch {
		case err == nil:
			return l.keep(ctx, key, holder), nil
		case errors.Is(err, store.ErrUnknown) || ctx.Err() != nil: // it may be ours all the same
			l.keep(ctx, key, holder).Release()
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

// keep keeps a lease that was taken until its end. It outlives ctx.
func (l *Leases) keep(ctx context.Context, key store.Key, holder uint64) *Lease {
	h := &Lease{of: l, key: key, holder: holder, next: time.Now().Add(leaseRenew)}
	h.ctx, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[h] = struct{}{}
	if l.timer == nil { // else it fires earlier than this one needs
		l.schedule()
	}
	return h
}

// schedule sets the timer for the first lease that is to be prolonged. Called
// with mu held.
func (l *Leases) schedule() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	var first time.Time
	for h := range l.held {
		if !h.queued && (first.IsZero() || h.next.Before(first)) {
			first = h.next
		}
	}
	if !first.IsZero() {
		l.fires = first
		l.timer = time.AfterFunc(time.Until(first), l.renew)
	}
}

// renew prolongs what is due, and what will be soon.
func (l *Leases) renew() {
	var due []*Lease
	l.mu.Lock()
	soon := time.Now().Add(leaseEarly)
	for h := range l.held {
		if !h.queued && h.next.Before(soon) {
			h.queued = true
			due = append(due, h)
		}
	}
	l.schedule()
	l.mu.Unlock()
	for _, h := range due {
		l.slots <- struct{}{}
		go func() {
			defer func() { <-l.slots }()
			h.renew()
		}()
	}
}

// renew prolongs the lease, unless it has been given back.
func (h *Lease) renew() {
	l := h.of
	l.mu.Lock()
	if _, held := l.held[h]; !held {
		l.mu.Unlock()
		return
	}
	began, done := time.Now(), make(chan struct{})
	h.renewing = done
	l.mu.Unlock()
	err := h.ask(h.ctx, leaseTime)
	l.mu.Lock()
	defer l.mu.Unlock()
	h.queued, h.renewing, h.next = false, nil, began.Add(leaseRenew)
	close(done)
	if errors.Is(err, store.ErrLeased) {
		// A lost lease stays lost: its new holder may have saved, and then the
		// version refuses this request's commit.
		delete(l.held, h)
	}
	if l.timer == nil || h.next.Before(l.fires) { // a call that timed out is due at once
		l.schedule()
	}
}

// ask has the store prolong the lease, or take it back if ttl is zero.
func (h *Lease) ask(ctx context.Context, ttl time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, leaseRenew)
	defer cancel()
	return guard.Run(func() error { return h.of.store.Lease(ctx, h.key, h.holder, ttl) })
}

// Release gives the lease back, and returns when that is done. It expires if
// the store does not answer.
func (h *Lease) Release() {
	h.stop()
	l := h.of
	l.mu.Lock()
	delete(l.held, h)
	renewing := h.renewing
	if len(l.held) == 0 {
		l.schedule()
	}
	l.mu.Unlock()
	if renewing != nil { // it must not come after what follows
		<-renewing
	}
	_ = h.ask(context.WithoutCancel(h.ctx), 0)
}
