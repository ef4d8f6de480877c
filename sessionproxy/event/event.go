package event

import (
	"context"
	"errors"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Kind says what happened to a session.
type Kind string

// The kinds of events, in the words that users see.
const (
	Create   Kind = Kind(store.EventCreated) // it was committed for the first time
	Save     Kind = Kind(store.EventSaved)   // its data was changed
	Rotate   Kind = Kind(store.EventRotated) // its ticket was replaced
	Delete   Kind = Kind(store.EventEnded)   // it has ended, and is about to be removed
	Rollback Kind = "rollback"               // a request's writes were dropped
)

// Event is something that happened to one session. It holds no ticket.
type Event struct {
	// ID names the event to one listener, and is the same in each attempt;
	// empty for a rollback, which is not kept.
	ID      string
	Kind    Kind
	Manager string
	Session store.ID
	At      time.Time
	// Reason says why the session ended; set for Delete alone.
	Reason store.Reason
	// Principal is the name of the signed-in user, or empty.
	Principal string
	// Keys names the top-level keys that a Save has set or removed.
	// Their values are not in the event.
	Keys []string
	// Created and Expires are those of the session; zero for a rollback.
	Created, Expires time.Time
	// Data is the session's last data, for Delete alone: one JSON
	// object in compact ASCII form. Not to be changed.
	Data []byte
	// Attempt counts from 1.
	Attempt int
}

// Listener handles the events of sessions, outside of any request.
//
// All events but rollbacks are kept until they are delivered: at least once,
// after a crash too, and in order for each session. A session that ends is
// invisible to every request before its listeners get the event, and its last
// data is kept until they have. A listener has no veto.
type Listener interface {
	// Handle handles one event. After an error the delivery is tried again,
	// with growing delays, until it is a dead letter, which only an operator
	// retries; an error that wraps ErrPermanent makes it one at once. Handle
	// must be idempotent, and return when ctx ends. It is called from several
	// goroutines, with events of different sessions.
	Handle(ctx context.Context, e Event) error
}

// ErrPermanent says that a retry would not help.
var ErrPermanent = errors.New("a retry would not help")

// Subscription delivers the events of some kinds, of a manager's sessions, to a listener.
type Subscription struct {
	// Name is the name under which events are kept. It must be the same after a
	// restart, and no other subscription of the process may have it.
	Name     string
	Kinds    []Kind
	Listener Listener
	// MaxPending is how many events may wait for the listener; those beyond are
	// dead letters at once. 0 is DefaultMaxPending.
	MaxPending int
}

// DefaultMaxPending is how many events may wait for a listener without a limit
// of its own.
const DefaultMaxPending = 1_000_000
