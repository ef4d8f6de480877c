package session

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Keeper does for an open store what no request does: it ends the sessions
// that have expired, and tells listeners what was filed for them. A store has
// one, from when it was opened until before it closes. It does nothing before
// the first configuration has said who listens: see Listeners.Use. Safe for
// concurrent use.
type Keeper struct {
	store    store.Store
	local    *Local
	now      func() time.Time
	timeout  time.Duration
	parallel int
	reports  Reports

	interval time.Duration // of the sweep, while no configuration has said another
	faster   chan struct{}
	cancel   context.CancelFunc
	work     sync.WaitGroup

	mu        sync.Mutex // protects what follows
	couriers  map[string]*courier
	hung      []string         // listeners that did not come back when they had to
	intervals []*time.Duration // of the configurations, the last one last
}

// KeeperOptions are the figures of a Keeper; zero is a default.
type KeeperOptions struct {
	// SweepInterval is how often expired sessions are looked for. Default: 10s.
	SweepInterval time.Duration
	// TellTimeout is how long a listener may take for one event. Default: 30s.
	TellTimeout time.Duration
	// Parallel is how many events one listener is told at once, each of
	// another session. Default: 8.
	Parallel int
	// Reports is told of the work.
	Reports Reports
	// Now is the clock, that of the store; nil means time.Now.
	Now func() time.Time
}

// DefaultSweepInterval is how often expired sessions are looked for.
const DefaultSweepInterval = 10 * time.Second

// patience is how long a listener may still take once it was told to stop.
const patience = 5 * time.Second

// StartKeeper begins to keep the store. Abilities that the store does not have
// are not used.
func StartKeeper(st store.Store, local *Local, o KeeperOptions) *Keeper {
	k := &Keeper{
		store: st, local: local, now: o.Now, reports: o.Reports,
		timeout: or(o.TellTimeout, 30*time.Second), parallel: 8,
		faster: make(chan struct{}, 1), couriers: make(map[string]*courier),
	}
	if o.Parallel > 0 {
		k.parallel = o.Parallel
	}
	if k.now == nil {
		k.now = time.Now
	}
	k.interval = or(o.SweepInterval, DefaultSweepInterval)
	ctx, cancel := context.WithCancel(context.Background())
	k.cancel = cancel
	if sw, ok := st.(store.Sweeper); ok {
		s := &sweeper{
			store: sw, local: local, reports: &k.reports, clock: newClockWatch(k.now),
			interval: k.sweepInterval, changed: k.faster,
		}
		k.work.Go(func() { k.reports.guard("sweeping expired sessions", func() { s.run(ctx) }) })
	}
	k.work.Go(func() { k.reports.guard("starting listeners", func() { k.dispatch(ctx) }) })
	return k
}

// SweepEvery sets the interval of the sweep for a configuration, until done is
// called. Of several the last one counts: one that fails to load leaves that
// of the one before.
func (k *Keeper) SweepEvery(interval time.Duration) (done func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.intervals = append(k.intervals, &interval)
	signal(k.faster)
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.intervals = slices.DeleteFunc(k.intervals, func(i *time.Duration) bool { return i == &interval })
		signal(k.faster)
	}
}

func (k *Keeper) sweepInterval() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.intervals); n > 0 {
		return *k.intervals[n-1]
	}
	return k.interval
}

// Close ends the work. What was told is noted, what is being told is
// cancelled, and told again by the next Keeper. It waits for listeners to
// come back, but not longer than some seconds: the error names those that did
// not. Afterwards the store is not used any more.
func (k *Keeper) Close() error {
	k.cancel()
	k.work.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.hung) > 0 {
		slices.Sort(k.hung)
		return fmt.Errorf("stopping session listeners: %s did not come back", strings.Join(k.hung, ", "))
	}
	return nil
}

// dispatch has one courier for each listener that the configurations name.
func (k *Keeper) dispatch(ctx context.Context) {
	var unwatch func() // nil while nobody hears of rollbacks
	for ctx.Err() == nil {
		changed := k.local.Listeners.Changed()
		switch rollbacks := k.employ(ctx, k.local.Listeners.All()); {
		case rollbacks && unwatch == nil:
			unwatch = k.local.Watch(k.see)
		case !rollbacks && unwatch != nil:
			unwatch()
			unwatch = nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	if unwatch != nil {
		unwatch()
	}
}

// employ starts the couriers that are missing, and stops those that have no
// listener any more. It reports whether anybody
// hears of rollbacks.
func (k *Keeper) employ(ctx context.Context, all map[string]Subscription) (rollbacks bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, c := range k.couriers {
		if _, ok := all[name]; !ok {
			c.stop()
		}
	}
	outbox, _ := k.store.(store.Outbox)
	for name, sub := range all {
		if outbox != nil {
			outbox.LimitPending(name, cmp.Or(sub.MaxPending, DefaultMaxPending))
		}
		rollbacks = rollbacks || slices.Contains(sub.Kinds, EventRollback)
		last := k.couriers[name]
		if last != nil && !last.stopped() {
			continue // it finds the listener that has the name now
		}
		c := newCourier(ctx, k, name)
		k.couriers[name] = c
		k.work.Go(func() {
			if last != nil {
				<-last.done // what it was telling comes first
			}
			k.reports.guard("telling a listener", c.run)
		})
	}
	return rollbacks
}

// see passes rollbacks on, which are not kept: what finds no room is lost.
func (k *Keeper) see(e Event) {
	if e.Kind != EventRollback {
		return
	}
	for _, name := range k.local.Listeners.hear(e.Manager, EventRollback) {
		k.mu.Lock()
		c := k.couriers[name]
		k.mu.Unlock()
		if c == nil || !c.offer(e) {
			k.reports.lost(name)
		}
	}
}
