package store

import (
	"context"
	"time"
)

// Notice is something that listeners are to be told of a session. It is filed
// in the same atomic step as what it tells of: it is there exactly if that
// happened.
type Notice struct {
	Kind NoticeKind
	// Listeners names who is told, each on its own, and once.
	Listeners []string
	// Keys names what a NoticeSaved has written: top-level keys of the data.
	Keys []string
}

// NoticeKind says what happened.
type NoticeKind string

// The kinds of notices, in the words that listeners see.
const (
	NoticeCreated NoticeKind = "create"
	NoticeSaved   NoticeKind = "save"
	NoticeRotated NoticeKind = "rotate"
	NoticeEnded   NoticeKind = "delete" // filed by the store itself: see End and Write.TellEnds
)

// Delivery is one notice for one listener.
type Delivery struct {
	// ID names the delivery; it is the same at every attempt.
	ID       string
	Listener string

	Kind   NoticeKind
	Reason Reason // of a NoticeEnded
	Key    Key
	At     time.Time // when it happened
	Keys   []string  // of a NoticeSaved
	// Info is that of the record as it was saved, or as it ended.
	Info Info
	// Data is the last data of a session that has ended; nil otherwise.
	Data []byte

	// Attempts is how often it was tried; Next, when it is to be tried
	// again; Error, why the last attempt failed.
	Attempts int
	Next     time.Time
	Error    string
	// Dead says that it is not tried any more, until somebody revives it.
	Dead bool
}

// Settlement says what became of an attempt to deliver.
type Settlement struct {
	ID string
	// Delivered removes the delivery. When it was the last one of a session
	// that has ended, nothing is left of that session.
	Delivered bool
	// Otherwise it is to be tried again at Next, or is Dead. Next is at most
	// LongestPutOff ahead.
	Next  time.Time
	Dead  bool
	Error string // at most MaxDeliveryError bytes are kept
}

// LongestPutOff is how long a delivery may be put off. One that has to wait for
// longer was put off while the clock was wrong, and is due.
const LongestPutOff = 48 * time.Hour

// ErrorOverLimit is the Error of a delivery that was dead at once: see
// Outbox.LimitPending.
const ErrorOverLimit = "as many deliveries waited as may (max_pending)"

// MaxDeliveryError is how much of the reason of a failure is kept, in bytes.
const MaxDeliveryError = 256

// Outbox is the ability of a store to keep what listeners are to be told,
// until they have been told.
//
// A session that ends with listeners is doomed first: every load finds it
// gone, and its record is kept with the deliveries. All of it survives a
// crash. For one listener the deliveries of one session have an order, that in
// which they were filed; those of different sessions have none.
type Outbox interface {
	// Deliveries returns at most n deliveries of the listener that are
	// neither dead nor to be tried later, the first filed first. Of each
	// session it returns the earliest delivery alone, or nothing while that
	// one is to be tried later: a delivery that fails holds up its own
	// session and no other. next is when the next one will be due, when
	// there are none now; zero means that nothing waits.
	Deliveries(ctx context.Context, listener string, n int) (due []Delivery, next time.Time, err error)

	// Settle notes what became of deliveries, in one step, or in a few when
	// there are many. One that is settled already is no error.
	Settle(ctx context.Context, done ...Settlement) error

	// DeadLetters returns at most n dead deliveries, of all listeners, that
	// were filed after the one with the ID given, or from the first one on.
	// An error wraps ErrBadCursor if that is no ID.
	DeadLetters(ctx context.Context, after string, n int) ([]Delivery, error)

	// Revive has a dead delivery tried again, at once. ErrGone says that
	// there is no dead delivery of that ID.
	Revive(ctx context.Context, id string) error

	// Bury removes a dead delivery, as if it had been delivered. ErrGone says
	// that there is no dead delivery of that ID.
	Bury(ctx context.Context, id string) error

	// Discard removes all that waits for the listener, dead or not, as if it
	// had been delivered, and returns how many deliveries that were. It is
	// done in steps: what went before an error is gone, and what is filed
	// meanwhile may stay.
	Discard(ctx context.Context, listener string) (int, error)

	// LimitPending bounds how many deliveries wait for the listener. Beyond that
	// new ones are dead letters at once, with ErrorOverLimit. What waits already
	// stays, and Revive is not bound by it. It holds until it is
	// called again or the store closes; 0 is no limit, as before the first call.
	LimitPending(listener string, n int)

	// Backlog tells what waits, for each listener that has something, in
	// order of their names.
	Backlog(ctx context.Context) ([]Backlog, error)
}

// Backlog is what waits for one listener.
type Backlog struct {
	Listener string
	Waiting  int       // deliveries that are not dead
	Dead     int       // deliveries that are
	Oldest   time.Time // when the first one happened that waits; zero if none does
	// Overflowed is how many deliveries were dead at once since the store was
	// opened, because as many waited as may. While it is not zero the listener
	// has something.
	Overflowed int64
}
