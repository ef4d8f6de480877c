package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/delivery"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// kept is a store with a delivery service, in a bubble of synctest. What is reported is
// noted.
type kept struct {
	*sessiontest.Site
	node    *session.Node
	service *delivery.Service
	ahead   atomic.Int64 // of the wall clock

	mu       sync.Mutex
	attempts []delivery.Attempt
	notes    []string
}

// now is the wall clock, which a test may set.
func (k *kept) now() time.Time { return time.Now().Add(time.Duration(k.ahead.Load())) }

// newKept returns a site whose manager has the subscriptions, which are
// declared to the store, with a service that is not started.
func newKept(t *testing.T, change func(*session.Policy), subs ...event.Subscription) *kept {
	t.Helper()
	k := &kept{Site: &sessiontest.Site{T: t}}
	k.Store = memstore.New(k.now)
	provider := session.Fixed(k.Store)
	var err error
	if _, k.node, err = provider.Acquire(); err != nil {
		t.Fatal(err)
	}
	k.Manager = sessiontest.NewManager(t, change, session.Options{Provider: provider, Now: k.now, Listeners: subs})
	k.node.Subscriptions.Declare(map[string][]event.Subscription{"shop": subs})
	return k
}

func (k *kept) start() {
	k.T.Helper()
	k.service = delivery.Start(k.node.Features, k.node.Subscriptions, k.node.Events, delivery.Options{
		Now: k.now, Observer: delivery.Observer{
			Attempted: func(t delivery.Attempt) {
				k.mu.Lock()
				defer k.mu.Unlock()
				k.attempts = append(k.attempts, t)
			},
			Dropped:     func(listener string) { k.note("lost " + listener) },
			Stuck:       func(listener string) { k.note("hanging " + listener) },
			ClockJumped: func(by, hold time.Duration) { k.note(fmt.Sprintf("clock %v, held %v", by, hold)) },
			Failed:      func(doing string, err error) { k.note(fmt.Sprintf("%s: %v", doing, err)) },
		},
	})
}

func (k *kept) note(what string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.notes = append(k.notes, what)
}

func (k *kept) noted() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	notes := strings.Join(k.notes, ", ")
	k.notes = nil
	return notes
}

// close stops the service, which must be quick.
func (k *kept) close() {
	k.T.Helper()
	if err := k.service.Close(); err != nil {
		k.T.Error(err)
	}
}

func (k *kept) use(subs ...event.Subscription) (done func()) {
	return k.node.Subscriptions.Add(map[string][]event.Subscription{"shop": subs})
}

// ear notes what it hears. If answer is set it decides, outside of the lock.
type ear struct {
	mu     sync.Mutex
	heard  []event.Event
	at     []time.Time
	answer func(context.Context, event.Event) error
}

func (e *ear) Handle(ctx context.Context, ev event.Event) error {
	e.mu.Lock()
	e.heard, e.at = append(e.heard, ev), append(e.at, time.Now())
	e.mu.Unlock()
	if e.answer != nil {
		return e.answer(ctx, ev)
	}
	return nil
}

// events returns what was heard.
func (e *ear) events() []event.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.heard)
}

// all returns what was heard since the last call, in words.
func (e *ear) all() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	for _, ev := range e.heard {
		all = append(all, sessiontest.Words(string(ev.Kind), string(ev.Reason), ev.Keys))
	}
	e.heard = nil
	return strings.Join(all, ", ")
}
