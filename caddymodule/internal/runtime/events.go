package runtime

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
)

// eventNames are the names under which Caddy's events app knows what happens
// to sessions. What is not here is no event of Caddy's.
var eventNames = map[event.Kind]string{
	event.Create:   "session_created",
	event.Rotate:   "session_rotated",
	event.Delete:   "session_deleted",
	event.Rollback: "session_rolled_back",
}

// eventQueue is how many events may wait for the handlers of Caddy's events.
const eventQueue = 1024

// newDroppedEvents counts what found the queue full.
func newDroppedEvents() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "sessions", Name: "dropped_events_total",
		Help: "Events of sessions that Caddy's events app did not get, because its handlers were too slow.",
	})
}

// Emitter passes what happens to sessions on to the events app of one
// configuration, out of a queue: its handlers take as long as they like, and
// no request waits for them. Without a subscriber it does nothing.
type Emitter struct {
	ctx    caddy.Context // of the App: the origin of the events
	logger *zap.Logger
	events *caddyevents.App
	queue  chan event.Event
	quit   chan struct{}

	mu      sync.Mutex   // protects what follows
	db      *PooledStore // nil until it is attached, and after the end
	unwatch func()
	ended   bool
}

// NewEmitter subscribes to the start of the configuration: only then it is
// known, and safe to ask, what is subscribed to.
func NewEmitter(ctx caddy.Context) (*Emitter, error) {
	app, err := ctx.App("events")
	if err != nil {
		return nil, fmt.Errorf("loading the events app: %w", err)
	}
	e := &Emitter{
		ctx: ctx, logger: ctx.Logger(), events: app.(*caddyevents.App),
		queue: make(chan event.Event, eventQueue), quit: make(chan struct{}),
	}
	if err := e.events.On("started", e); err != nil {
		return nil, fmt.Errorf("waiting for the start of the configuration: %w", err)
	}
	return e, nil
}

// Handle implements caddyevents.Handler: all apps have started.
func (e *Emitter) Handle(context.Context, caddy.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.db == nil || e.unwatch != nil || e.ended {
		return nil
	}
	e.db.emitters.add(e)
	wanted := make(map[event.Kind]bool)
	for kind, name := range eventNames {
		if e.events.ShouldEmit(name) {
			wanted[kind] = true
		}
	}
	if len(wanted) == 0 {
		e.unwatch = func() {}
		return nil
	}
	go e.run()
	e.unwatch = e.db.Node.Events.Subscribe(func(ev event.Event) {
		if wanted[ev.Kind] && e.db.emitters.last() == e {
			e.onEvent(ev)
		}
	})
	return nil
}

// onEvent queues an event, or drops it.
func (e *Emitter) onEvent(ev event.Event) {
	select {
	case e.queue <- ev:
	default:
		process.droppedEvents.Inc()
	}
}

func (e *Emitter) run() {
	for {
		select {
		case <-e.quit:
			return
		case <-e.ctx.Done():
			return
		case ev := <-e.queue:
			if e.ctx.Err() != nil { // Caddy would log an error
				return
			}
			e.emit(&ev)
		}
	}
}

// emit hands an event to its handlers. One that panics would end the process:
// here is no server around it, as there is around a request.
func (e *Emitter) emit(ev *event.Event) {
	name := eventNames[ev.Kind]
	defer func() {
		if p := recover(); p != nil { // its text may hold anything
			e.logger.Error("a handler of an event panicked", zap.String("event", name), zap.String("panic", fmt.Sprintf("%T", p)))
		}
	}()
	data := map[string]any{"manager": ev.Manager, "session": ev.Session.String()}
	if ev.Reason != "" {
		data["reason"] = string(ev.Reason)
	}
	e.events.Emit(e.ctx, name, data)
}

// Attach says which store the events are of.
func (e *Emitter) Attach(db *PooledStore) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.db = db
}

// Stop ends the passing on. It waits for no handler: what it is in ends by its
// context, or later. Idempotent.
func (e *Emitter) Stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return
	}
	e.ended = true
	close(e.quit)
	if e.unwatch != nil {
		e.unwatch()
		e.db.emitters.remove(e)
	}
}

// emitters are those of the configurations that use one store. During a
// reload there are two, and each event goes to the later one alone. Safe for
// concurrent use.
type emitters struct {
	mu  sync.Mutex
	all []*Emitter
}

func (l *emitters) add(e *Emitter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, e)
}

func (l *emitters) remove(e *Emitter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(other *Emitter) bool { return other == e })
}

func (l *emitters) last() *Emitter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return nil
	}
	return l.all[len(l.all)-1]
}

// Interface guard.
var _ caddyevents.Handler = (*Emitter)(nil)
