package session

import (
	"context"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

const (
	// fetchSize is how many deliveries are read at once, and fetchTime the
	// least time for so many when there are more: what a sweep leaves behind
	// must not take the processor from requests. That is 2,000 a second,
	// which only listeners of this machine would exceed.
	fetchSize = 64
	fetchTime = 32 * time.Millisecond
	// rollbackRoom is how many rollbacks wait for one listener.
	rollbackRoom = 64
	// longestPause is how long a courier that was not woken looks at nothing.
	longestPause = time.Minute
	// shortestPause keeps a courier from spinning when a time has come that
	// the store does not know of yet.
	shortestPause = 10 * time.Millisecond
	// settleTimeout bounds the noting of what was told, also after the end.
	settleTimeout = 5 * time.Second
)

// courier tells one listener what was filed for it: several events at once,
// but those of one session one after the other. All but ctx, results and
// rollbacks belongs to run.
type courier struct {
	k         *Keeper
	name      string
	outbox    store.Outbox // nil if the store has none
	ctx       context.Context
	cancel    context.CancelFunc
	done      chan struct{}
	woken     <-chan struct{}
	rollbacks chan Event

	results chan result // of attempts, with room for all
	queue   []attempt   // read, and not begun
	running int
	busy    map[store.Key]bool // sessions of which something is in the queue, told, or not noted yet

	told     []store.Settlement // to be noted
	of       []store.Key        // the sessions of told
	settling int                // how many of them are being noted
	settled  chan error

	timer    *time.Timer // until the store is asked again
	ask      bool
	fetched  time.Time // the last time that there were more
	failures int       // of the store, one after the other
}

func newCourier(ctx context.Context, k *Keeper, name string) *courier {
	c := &courier{
		k: k, name: name, done: make(chan struct{}), woken: k.local.Listeners.wakened(name),
		rollbacks: make(chan Event, rollbackRoom), results: make(chan result, k.parallel),
		busy: make(map[store.Key]bool), settled: make(chan error, 1), ask: true,
	}
	c.outbox, _ = k.store.(store.Outbox)
	c.ctx, c.cancel = context.WithCancel(ctx)
	return c
}

func (c *courier) stop()         { c.cancel() }
func (c *courier) stopped() bool { return c.ctx.Err() != nil }

// offer hands over a rollback, if there is room.
func (c *courier) offer(e Event) bool {
	e.Attempt = 1
	select {
	case c.rollbacks <- e:
		return !c.stopped()
	default:
		return false
	}
}

func (c *courier) run() {
	defer close(c.done)
	c.timer = time.NewTimer(longestPause)
	defer c.timer.Stop()
	for !c.stopped() {
		c.fetch()
		c.begin()
		c.settle()
		rollbacks := c.rollbacks
		if c.running == c.k.parallel {
			rollbacks = nil
		}
		select {
		case <-c.ctx.Done():
		case <-c.woken:
			c.ask = c.failures == 0 // else when it is time
		case <-c.timer.C:
			c.ask = true
		case e := <-rollbacks:
			c.start(attempt{event: e})
		case r := <-c.results:
			c.finish(&r)
		case err := <-c.settled:
			c.noted(err)
		}
	}
	c.leave()
}

// fetch reads what is due, when there is nothing left to do.
func (c *courier) fetch() {
	if !c.ask || c.outbox == nil || len(c.queue) > 0 || c.running == c.k.parallel || c.failures > 0 && len(c.told) > 0 {
		return
	}
	if early := fetchTime - time.Since(c.fetched); early > 0 {
		c.timer.Reset(early)
		return
	}
	c.ask = false
	n := fetchSize + len(c.busy) // what is busy is due as well
	var due []store.Delivery
	var next time.Time
	err := guarded(func() (err error) { due, next, err = c.outbox.Deliveries(c.ctx, c.name, n); return err })
	if err != nil {
		if !c.stopped() {
			c.failed("reading what listeners are to be told", err)
		}
		return
	}
	c.failures, c.ask = 0, len(due) == n
	if c.ask {
		c.fetched = time.Now()
	}
	for i := range due {
		if d := &due[i]; !c.busy[d.Key] {
			c.busy[d.Key] = true
			c.queue = append(c.queue, newAttempt(d))
		}
	}
	pause := longestPause
	if !next.IsZero() {
		pause = min(max(next.Sub(c.k.now()), shortestPause), longestPause)
	}
	c.timer.Reset(pause)
}

func (c *courier) failed(doing string, err error) {
	c.failures++
	c.k.reports.failed(doing, err)
	c.timer.Reset(storeRetry(c.failures))
}

// begin tells what is in the queue, as far as there is room.
func (c *courier) begin() {
	for len(c.queue) > 0 && c.running < c.k.parallel {
		a := c.queue[0]
		c.queue[0] = attempt{}
		c.queue = c.queue[1:]
		c.start(a)
	}
}

func (c *courier) start(a attempt) {
	c.running++
	go c.try(a)
}

// finish takes in what came of an attempt.
func (c *courier) finish(r *result) {
	c.running--
	switch {
	case r.withdrawn && r.delivery == "":
		c.k.reports.lost(c.name)
		return
	case r.nobody: // soon the keeper knows, too
		delete(c.busy, r.key)
		c.timer.Reset(time.Second)
		return
	case r.withdrawn:
		delete(c.busy, r.key)
		c.ask = true
		return
	}
	s, t := c.settlement(r)
	c.k.reports.told(t)
	if r.delivery != "" {
		c.told, c.of = append(c.told, s), append(c.of, r.key)
	}
}

// settle notes what was told, all of it in one step, while more is being told.
func (c *courier) settle() {
	if c.settling > 0 || len(c.told) == 0 || c.failures > 0 && !c.ask {
		return
	}
	c.settling = len(c.told)
	told := c.told[:c.settling:c.settling]
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), settleTimeout)
	go func() {
		defer cancel()
		c.settled <- guarded(func() error { return c.outbox.Settle(ctx, told...) })
	}()
}

// noted follows a settling.
func (c *courier) noted(err error) {
	n := c.settling
	c.settling = 0
	if err != nil {
		c.ask = false
		c.failed("noting what listeners were told", err)
		return
	}
	for _, key := range c.of[:n] {
		delete(c.busy, key)
	}
	c.told, c.of = append([]store.Settlement(nil), c.told[n:]...), append([]store.Key(nil), c.of[n:]...)
	c.failures = 0
	c.ask = true
}

// leave waits for what is being told, which was cancelled, and notes what was
// told before.
func (c *courier) leave() {
	for c.running > 0 || c.settling > 0 {
		select {
		case r := <-c.results:
			c.finish(&r)
		case err := <-c.settled:
			c.noted(err)
		}
	}
	if len(c.told) > 0 {
		c.failures = 0
		c.settle()
		if c.noted(<-c.settled); len(c.told) > 0 {
			return // it is told again
		}
	}
}
