package delivery

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/store"
)

// Service ends the expired sessions of an open store, and delivers the events
// of its outbox to listeners. A store has one, from when it was opened until
// before it closes. It does nothing before the first configuration has added
// its subscriptions: see [event.Subscriptions.Add]. Safe for concurrent use.
type Service struct {
	features      *store.Features
	subscriptions *event.Subscriptions
	events        *event.Feed
	now           func() time.Time
	timeout       time.Duration
	parallel      int
	observer      Observer

	interval time.Duration // of the sweep, unless a configuration sets one
	faster   chan struct{}
	cancel   context.CancelFunc
	work     sync.WaitGroup

	mu        sync.Mutex // protects what follows
	workers   map[string]*worker
	stuck     []string         // listeners that did not return when they had to
	intervals []*time.Duration // of the configurations, the last one last
}

// Options are the figures of a Service; zero stands for a default.
type Options struct {
	// SweepInterval is how often expired sessions are looked for. Default: 10s.
	SweepInterval time.Duration
	// HandleTimeout is how long a listener may take for one event. Default: 30s.
	HandleTimeout time.Duration
	// Parallel is how many events one listener handles at once, each of
	// another session. Default: 8.
	Parallel int
	// Observer observes the work.
	Observer Observer
	// Now is the clock, that of the store; nil means time.Now.
	Now func() time.Time
}

// DefaultSweepInterval is how often expired sessions are looked for.
const DefaultSweepInterval = 10 * time.Second

// stopGrace is how long a listener may still take after its context has ended.
const stopGrace = 5 * time.Second

// Start starts the service of a store that can do that. A store that cannot sweep is not swept,
// and one without outbox has only rollbacks to deliver.
func Start(f *store.Features, subscriptions *event.Subscriptions, events *event.Feed, o Options) *Service {
	s := &Service{
		features: f, subscriptions: subscriptions, events: events, now: o.Now, observer: o.Observer,
		timeout: cmp.Or(o.HandleTimeout, 30*time.Second), parallel: 8,
		faster: make(chan struct{}, 1), workers: make(map[string]*worker),
	}
	if o.Parallel > 0 {
		s.parallel = o.Parallel
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.interval = cmp.Or(o.SweepInterval, DefaultSweepInterval)
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if f.Sweeper != nil {
		sw := &sweeper{
			store: f.Sweeper, subscriptions: subscriptions, observer: &s.observer, clock: newClockGuard(s.now),
			interval: s.sweepInterval, changed: s.faster,
		}
		s.work.Go(func() { s.observer.guard("sweeping expired sessions", func() { sw.run(ctx) }) })
	}
	s.work.Go(func() { s.observer.guard("starting listeners", func() { s.dispatch(ctx) }) })
	return s
}

// SweepEvery sets the interval of the sweep for a configuration, until done is
// called. The last one counts; its end restores the one before.
func (s *Service) SweepEvery(interval time.Duration) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intervals = append(s.intervals, &interval)
	s.wakeSweeper()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.intervals = slices.DeleteFunc(s.intervals, func(i *time.Duration) bool { return i == &interval })
		s.wakeSweeper()
	}
}

// wakeSweeper has the sweeper ask for the interval again.
func (s *Service) wakeSweeper() {
	select {
	case s.faster <- struct{}{}:
	default:
	}
}

func (s *Service) sweepInterval() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.intervals); n > 0 {
		return *s.intervals[n-1]
	}
	return s.interval
}

// Close stops the service. It settles completed deliveries, and cancels the
// attempts under way, which the next Service repeats. It waits some seconds for
// listeners to return: the error names those that have not. Afterwards the
// store is not used any more.
func (s *Service) Close() error {
	s.cancel()
	s.work.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.stuck) > 0 {
		slices.Sort(s.stuck)
		return fmt.Errorf("stopping session listeners: %s did not return", strings.Join(s.stuck, ", "))
	}
	return nil
}

// dispatch keeps one worker for each listener that the configurations name.
func (s *Service) dispatch(ctx context.Context) {
	var unsubscribe func() // nil while no listener subscribes to rollbacks
	for ctx.Err() == nil {
		changed := s.subscriptions.Changed()
		switch rollbacks := s.reconcile(ctx, s.subscriptions.All()); {
		case rollbacks && unsubscribe == nil:
			unsubscribe = s.events.Subscribe(s.onEvent)
		case !rollbacks && unsubscribe != nil:
			unsubscribe()
			unsubscribe = nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	if unsubscribe != nil {
		unsubscribe()
	}
}

// reconcile starts the workers that are missing, and stops those that have no
// listener any more. It reports whether a listener subscribes to rollbacks.
func (s *Service) reconcile(ctx context.Context, all map[string]event.Subscription) (rollbacks bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, c := range s.workers {
		if _, ok := all[name]; !ok {
			c.stop()
		}
	}
	for name, sub := range all {
		if outbox := s.features.Outbox; outbox != nil {
			outbox.LimitPending(name, cmp.Or(sub.MaxPending, event.DefaultMaxPending))
		}
		rollbacks = rollbacks || slices.Contains(sub.Kinds, event.Rollback)
		last := s.workers[name]
		if last != nil && !last.stopped() {
			continue // it finds the listener that has the name now
		}
		c := newWorker(ctx, s, name)
		s.workers[name] = c
		s.work.Go(func() {
			if last != nil {
				<-last.done // its attempts under way come first
			}
			s.observer.guard("delivering to a listener", c.loop)
		})
	}
	return rollbacks
}

// onEvent queues rollbacks, which are not kept: those beyond the buffer are
// dropped.
func (s *Service) onEvent(e event.Event) {
	if e.Kind != event.Rollback {
		return
	}
	for _, name := range s.subscriptions.SubscribersOf(e.Manager, event.Rollback) {
		s.mu.Lock()
		c := s.workers[name]
		s.mu.Unlock()
		if c == nil || !c.offer(e) {
			s.observer.droppedEvent(name)
		}
	}
}
