package delivery

import (
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/guard"
	"github.com/sessionproxy/sessionproxy/store"
)

// Observer observes the work of a Service, for logs and counters. Each function
// may be nil, must be quick, and may be called from several goroutines at once.
// The ends of sessions are events: see [event.Feed].
type Observer struct {
	// Attempted follows each attempt.
	Attempted func(Attempt)
	// Dropped says that a rollback was dropped, since too many wait for the listener.
	Dropped func(listener string)
	// Stuck says that a listener has not returned although its time is over.
	// It has one slot less until it does.
	Stuck func(listener string)
	// ClockJumped says that the wall clock was set forward, or back if by is
	// negative, and for how long no session is swept because of that.
	ClockJumped func(by, hold time.Duration)
	// Failed says that a call of the store has failed. It is tried again.
	Failed func(doing string, err error)
}

// Result is the result of an attempt.
type Result string

// The results.
const (
	Delivered Result = "delivered"
	Retried   Result = "retried" // it failed, and is tried again
	Dead      Result = "dead"    // it failed, and is tried again only if an operator asks for it
	Dropped   Result = "dropped" // it failed, and is not kept: a rollback
)

// Attempt is one attempt to deliver an event to a listener. It holds neither
// data nor principal of the session.
type Attempt struct {
	Listener string
	Kind     event.Kind
	Manager  string
	Session  store.ID
	Attempt  int
	Result   Result
	// Err says why it failed. The text is the listener's.
	Err error
	// Lag is how long ago the event happened; Took, how long the listener took.
	Lag, Took time.Duration
	// Next is when it is tried again.
	Next time.Time
}

func (o *Observer) attempted(t Attempt) {
	if o.Attempted != nil {
		o.Attempted(t)
	}
}

func (o *Observer) droppedEvent(listener string) {
	if o.Dropped != nil {
		o.Dropped(listener)
	}
}

func (o *Observer) stuckListener(listener string) {
	if o.Stuck != nil {
		o.Stuck(listener)
	}
}

func (o *Observer) clockJumped(by, hold time.Duration) {
	if o.ClockJumped != nil {
		o.ClockJumped(by, hold)
	}
}

func (o *Observer) failed(doing string, err error) {
	if o.Failed != nil {
		o.Failed(doing, err)
	}
}

// guard runs f, and reports its panic.
func (o *Observer) guard(doing string, f func()) {
	if err := guard.Run(func() error { f(); return nil }); err != nil {
		o.failed(doing, err)
	}
}
