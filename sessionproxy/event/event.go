package event

import (
	"context"
	"errors"
	"slices"
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
	// ID names the event to one listener, and is the same each time that it
	// is told; empty for a rollback, which is not kept.
	ID      string
	Kind    Kind
	Manager string
	Session store.ID
	At      time.Time
	// Reason says why the session ended; set for Delete alone.
	Reason store.Reason
	// Principal is who was signed in, or empty.
	Principal string
	// Keys names the top-level keys that an Save has set or removed.
	// Their values are not told.
	Keys []string
	// Created and Expires are those of the session; zero for a rollback.
	Created, Expires time.Time
	// Data is the session's last data, for Delete alone: one JSON
	// object in compact ASCII form. Not to be changed.
	Data []byte
	// Attempt counts from 1.
	Attempt int
}

// Listener is told of what happens to sessions, from outside of any request.
//
// All but rollbacks is kept until it was told: at least once, after a crash
// too, and for one session in order. A session that ends is invisible to every
// request before its listeners hear of it, and its last data is kept until
// they have. A listener has no veto.
type Listener interface {
	// Handle is told of one event. With an error it is told again later, the
	// more rarely the more often it fails, and in the end only when an
	// operator asks for it; an error that wraps ErrPermanent is not tried
	// again at all. What Hear does must bear being done twice. It ends when
	// ctx ends. It is called from several goroutines, with events of
	// different sessions.
	Handle(ctx context.Context, e Event) error
}

// ErrPermanent says that telling a listener again would not help.
var ErrPermanent = errors.New("telling it again would not help")

// Subscription says which listener hears what of a manager's sessions.
type Subscription struct {
	// Name is what events are kept under. It must be the same after a
	// restart, and no other subscription of the process may have it.
	Name     string
	Kinds    []Kind
	Listener Listener
	// MaxPending is how many events may wait for the listener; those beyond are
	// dead letters at once. 0 is DefaultMaxPending.
	MaxPending int
}

// DefaultMaxPending is how many events may wait for a listener that does not
// say another number.
const DefaultMaxPending = 1_000_000

// SubscribersOf returns the names of those who hear of a kind.
func SubscribersOf(subs []Subscription, kind Kind) (names []string) {
	for _, s := range subs {
		if slices.Contains(s.Kinds, kind) {
			names = append(names, s.Name)
		}
	}
	return names
}
