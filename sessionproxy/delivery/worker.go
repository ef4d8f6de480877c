package delivery

import (
	"context"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/guard"
	"github.com/sessionproxy/sessionproxy/store"
)

const (
	// fetchSize is how many deliveries are read at once, and minFetchInterval the
	// least time for so many when there are more: what a sweep leaves behind
	// must not take the processor from requests. That is 2,000 a second,
	// which only listeners of this machine would exceed.
	fetchSize        = 64
	minFetchInterval = 32 * time.Millisecond
	// rollbackBuffer is how many rollbacks wait for one listener.
	rollbackBuffer = 64
	// maxPollInterval is how long a worker that was not woken does not poll.
	maxPollInterval = time.Minute
	// minPollInterval keeps a worker from spinning when a delivery is due by
	// its own clock, and not yet by that of the store.
	minPollInterval = 10 * time.Millisecond
	// settleTimeout bounds a call of Settle, also after the end.
	settleTimeout = 5 * time.Second
)

// worker delivers the events of one listener: several at once, but those of one
// session one after the other. All fields but ctx, results and rollbacks belong
// to loop.
type worker struct {
	service   *Service
	name      string
	outbox    store.Outbox // nil if the store has none
	ctx       context.Context
	cancel    context.CancelFunc
	done      chan struct{}
	woken     <-chan struct{} // nil if the store has no outbox
	rollbacks chan event.Event

	results chan result // of attempts, with room for all
	queue   []attempt   // fetched, not started
	running int
	busy    map[store.Key]bool // sessions with a delivery that is queued, under way, or not settled yet

	told     []store.Settlement // to be settled
	of       []store.Key        // the sessions of told
	settling int                // how many of them are being settled
	settled  chan error

	timer    *time.Timer // until the store is asked again
	ask      bool
	fetched  time.Time // when a fetch last left some behind
	failures int       // of the store, one after the other
}

func newWorker(ctx context.Context, s *Service, name string) *worker {
	w := &worker{
		service: s, name: name, done: make(chan struct{}),
		rollbacks: make(chan event.Event, rollbackBuffer), results: make(chan result, s.parallel),
		busy: make(map[store.Key]bool), settled: make(chan error, 1), ask: true, outbox: s.features.Outbox,
	}
	if w.outbox != nil {
		w.woken = w.outbox.Filed(name)
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	return w
}

func (w *worker) stop()         { w.cancel() }
func (w *worker) stopped() bool { return w.ctx.Err() != nil }

// offer queues a rollback, if there is room.
func (w *worker) offer(e event.Event) bool {
	e.Attempt = 1
	select {
	case w.rollbacks <- e:
		return !w.stopped()
	default:
		return false
	}
}

func (w *worker) loop() {
	defer close(w.done)
	w.timer = time.NewTimer(maxPollInterval)
	defer w.timer.Stop()
	for !w.stopped() {
		w.fetch()
		w.startQueued()
		w.settle()
		rollbacks := w.rollbacks
		if w.running == w.service.parallel {
			rollbacks = nil
		}
		select {
		case <-w.ctx.Done():
		case <-w.woken:
			w.askUnlessFailing()
		case <-w.timer.C:
			w.ask = true
		case e := <-rollbacks:
			w.spawn(attempt{event: e})
		case r := <-w.results:
			w.complete(&r)
		case err := <-w.settled:
			w.onSettled(err)
		}
	}
	w.drain()
}

// askUnlessFailing has the store asked again. While it fails only the timer
// does that, and what the timer has said stays said: it does not fire twice.
func (w *worker) askUnlessFailing() { w.ask = w.ask || w.failures == 0 }

// fetch reads due deliveries, when the queue is empty.
func (w *worker) fetch() {
	if !w.ask || w.outbox == nil || len(w.queue) > 0 || w.running == w.service.parallel || w.failures > 0 && len(w.told) > 0 {
		return
	}
	if early := minFetchInterval - time.Since(w.fetched); early > 0 {
		w.timer.Reset(early)
		return
	}
	w.ask = false
	n := fetchSize + len(w.busy) // those under way are due as well
	var due []store.Delivery
	var next time.Time
	err := guard.Run(func() (err error) { due, next, err = w.outbox.Deliveries(w.ctx, w.name, n); return err })
	if err != nil {
		if !w.stopped() {
			w.failed("reading due deliveries", err)
		}
		return
	}
	w.failures, w.ask = 0, len(due) == n
	if w.ask {
		w.fetched = time.Now()
	}
	for i := range due {
		if d := &due[i]; !w.busy[d.Key] {
			w.busy[d.Key] = true
			w.queue = append(w.queue, newAttempt(d))
		}
	}
	pause := maxPollInterval
	if !next.IsZero() {
		pause = min(max(next.Sub(w.service.now()), minPollInterval), maxPollInterval)
	}
	w.timer.Reset(pause)
}

func (w *worker) failed(doing string, err error) {
	w.failures++
	w.service.observer.failed(doing, err)
	w.timer.Reset(storeBackoff(w.failures))
}

// startQueued starts queued attempts, as far as there is room.
func (w *worker) startQueued() {
	for len(w.queue) > 0 && w.running < w.service.parallel {
		a := w.queue[0]
		w.queue[0] = attempt{}
		w.queue = w.queue[1:]
		w.spawn(a)
	}
}

func (w *worker) spawn(a attempt) {
	w.running++
	go w.run(a)
}

// complete evaluates the result of an attempt.
func (w *worker) complete(r *result) {
	w.running--
	switch {
	case r.withdrawn && r.delivery == "":
		w.service.observer.droppedEvent(w.name)
		return
	case r.noListener: // soon the service knows, too
		delete(w.busy, r.key)
		w.timer.Reset(time.Second)
		return
	case r.withdrawn:
		delete(w.busy, r.key)
		w.askUnlessFailing()
		return
	}
	s, t := w.settlement(r)
	w.service.observer.attempted(t)
	if r.delivery != "" {
		w.told, w.of = append(w.told, s), append(w.of, r.key)
	}
}

// settle settles all completed deliveries in one call, while others run.
func (w *worker) settle() {
	if w.settling > 0 || len(w.told) == 0 || w.failures > 0 && !w.ask {
		return
	}
	w.settling = len(w.told)
	told := w.told[:w.settling:w.settling]
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), settleTimeout)
	go func() {
		defer cancel()
		w.settled <- guard.Run(func() error { return w.outbox.Settle(ctx, told...) })
	}()
}

// onSettled evaluates the result of a call of Settle.
func (w *worker) onSettled(err error) {
	n := w.settling
	w.settling = 0
	if err != nil {
		w.ask = false
		w.failed("settling deliveries", err)
		return
	}
	for _, key := range w.of[:n] {
		delete(w.busy, key)
	}
	w.told, w.of = append([]store.Settlement(nil), w.told[n:]...), append([]store.Key(nil), w.of[n:]...)
	w.failures = 0
	w.ask = true
}

// drain waits for the attempts under way, which are cancelled, and settles
// those that have completed.
func (w *worker) drain() {
	for w.running > 0 || w.settling > 0 {
		select {
		case r := <-w.results:
			w.complete(&r)
		case err := <-w.settled:
			w.onSettled(err)
		}
	}
	if len(w.told) > 0 {
		w.failures = 0
		w.settle()
		if w.onSettled(<-w.settled); len(w.told) > 0 {
			return // they are delivered again
		}
	}
}
