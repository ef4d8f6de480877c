package store

import (
	"context"
	"time"
)

// Event is a change of one session that listeners may subscribe to. It is stored
// in the same atomic step as the change, with a delivery for each listener that
// [Outbox.Subscribe] names then: it is there exactly if the change happened.
type Event struct {
	Kind EventKind
	// Keys are the top-level keys of the data that an EventSaved has written.
	Keys []string
}

// EventKind says what happened.
type EventKind string

// The kinds of events, in the words that listeners see.
const (
	EventCreated EventKind = "create"
	EventSaved   EventKind = "save"
	EventRotated EventKind = "rotate"
	EventEnded   EventKind = "delete" // stored by the store itself, whatever ends the session
)

// Delivery is one event for one listener.
type Delivery struct {
	// ID names the delivery; it is the same at every attempt.
	ID       string
	Listener string

	Kind   EventKind
	Reason Reason // of an EventEnded
	Key    Key
	At     time.Time // when it happened
	Keys   []string  // of an EventSaved
	// Info is that of the record as it was saved, or as it ended.
	Info Info
	// Data is the last data of a session that has ended; nil otherwise.
	Data []byte

	// Attempts counts the attempts so far; Next is the time of the next one;
	// Error is why the last one failed.
	Attempts int
	Next     time.Time
	Error    string
	// Dead marks a dead letter: it is not tried again until RetryDeadLetter.
	Dead bool
}

// Settlement is the outcome of an attempt to deliver.
type Settlement struct {
	ID string
	// Delivered removes the delivery. With the last delivery of an EventEnded
	// the last data of that session goes.
	Delivered bool
	// Otherwise the delivery is tried again at Next, or is Dead. Next is at
	// most MaxRetryDelay ahead.
	Next  time.Time
	Dead  bool
	Error string // at most MaxDeliveryError bytes are kept
}

// MaxRetryDelay is the longest time between two attempts. A delivery that has to
// wait for longer was put off while the clock was wrong, and is due.
const MaxRetryDelay = 48 * time.Hour

// ErrorOverflow is the Error of a delivery that was a dead letter at once: see
// Outbox.LimitPending.
const ErrorOverflow = "as many deliveries waited as may (max_pending)"

// MaxDeliveryError is how much of the reason of a failure is kept, in bytes.
const MaxDeliveryError = 256

// Outbox is the ability of a store to keep events until their listeners have
// received them: a transactional outbox.
//
// A session that ends with listeners is gone for every load from then on; its
// last record stays with the deliveries. All of it survives a crash. The
// deliveries of one session to one listener have an order, that in which they
// were stored; those of different sessions have none.
//
// The store decides which listeners get an event, and it wakes those that wait
// for one: so an event of another process, or of a call that was given up,
// is delivered like any other. [Wakeups] does the second part for a store of one process.
type Outbox interface {
	// Subscribe sets the function that names the listeners of a kind of events
	// of a manager's sessions. It is called once, before the store is used. The
	// store asks between the begin of the call that makes the event and its
	// commit: Save and Update for each event of the Write, and for EventEnded
	// whatever ends a session: Delete, Sweep, a Save that evicts or replaces
	// others. A repeated call of Save that was stored already stores nothing of them,
	// whatever the function says then.
	//
	// Each name gets a delivery of its own; a name that is repeated counts once.
	// Any name is taken, and its deliveries stay until they are settled or
	// purged, whether or not Deliveries ever asks for them. Without names, and
	// without a call of Subscribe, nothing is stored of the event, and an
	// ended session is removed for good at once. The function must be quick, must
	// not call the store, and is called from several goroutines at once; the
	// store does not change what it returns.
	Subscribe(listeners func(manager string, kind EventKind) []string)

	// Filed returns the channel, the same one for each call, that has a value
	// once a delivery to the listener may have become due by anything but its
	// time: an event was stored by this process or another one, a dead letter is
	// retried, a backup was restored, or the outcome of an earlier write became
	// known. The channel has room for one value, and never blocks the store. A
	// value may come without cause, and a cause that comes before the value was
	// taken adds none. The value is there no earlier than the delivery, and
	// in the process that caused it no later than the call returns.
	//
	// It says nothing of what was stored before the store was opened, and
	// a process that shares the store may miss a value while it is cut off: a
	// reader calls Deliveries when it starts, after what it settles, and from
	// time to time. Removing deliveries gives no value.
	Filed(listener string) <-chan struct{}

	// Deliveries returns at most n deliveries to the listener that are due,
	// about the oldest first. Of each session it returns the earliest alone,
	// or nothing while that one waits for its next attempt: a delivery that
	// fails holds up its own session and no other. next is when a delivery
	// will be due, if none is now; zero means that nothing waits. A store that
	// several processes share may return those of a listener to one of them
	// alone, as long as it lives: to the others next is when to ask again.
	Deliveries(ctx context.Context, listener string, n int) (due []Delivery, next time.Time, err error)

	// Settle stores the outcome of attempts, in one step, or in a few when
	// there are many. A delivery that is gone is no error.
	Settle(ctx context.Context, done ...Settlement) error

	// DeadLetters returns at most n dead letters of all listeners, in the order
	// in which they were stored, from the one behind the given ID on, or from
	// the first. An error wraps ErrBadCursor if after is no ID.
	DeadLetters(ctx context.Context, after string, n int) ([]Delivery, error)

	// RetryDeadLetter makes a dead letter a delivery that is due at once. An
	// error wraps ErrGone if there is no dead letter of that ID.
	RetryDeadLetter(ctx context.Context, id string) error

	// DeleteDeadLetter removes a dead letter as if it had been delivered. An
	// error wraps ErrGone if there is no dead letter of that ID.
	DeleteDeadLetter(ctx context.Context, id string) error

	// PurgeListener removes all deliveries to the listener, dead letters too, as
	// if they had been delivered, and returns their number. It works in steps:
	// what went before an error is gone, and what is stored meanwhile may stay.
	PurgeListener(ctx context.Context, listener string) (int, error)

	// LimitPending bounds how many deliveries wait for the listener. New ones
	// beyond that are dead letters at once, with ErrorOverflow. Those that wait
	// already stay, and RetryDeadLetter is not bound. The limit holds until the
	// next call or until the store closes; 0 is none, as before the first call.
	LimitPending(listener string, n int)

	// Backlog returns what waits, for each listener that has something, in
	// order of their names.
	Backlog(ctx context.Context) ([]Backlog, error)
}

// Backlog is what waits for one listener.
type Backlog struct {
	Listener string
	Waiting  int       // deliveries that are not dead
	Dead     int       // dead letters
	Oldest   time.Time // when the oldest event happened that waits; zero if none does
	// Overflowed counts the deliveries that were dead letters at once, since the
	// store was opened. While it is not zero the listener has something.
	Overflowed int64
}
