package store

import "slices"

// Write is what a save stores, as one atomic step: the record, and what is
// filed with it.
type Write struct {
	Record

	// Events are what the save makes, beside the ends of other sessions. An
	// [Outbox] stores those that a listener subscribes to; a store without
	// that ability ignores them.
	Events []Event

	// Limit bounds how many live sessions of its manager the record's
	// principal may have, this one included. It is judged when the save
	// gives the session another principal than it had, or begins it with
	// one; the zero Limit is none. Only a store that is a [Pager] takes one.
	Limit Limit
}

// Limit is a number of sessions, and what happens beyond it.
type Limit struct {
	// Sessions is how many there may be; zero means any number.
	Sessions int
	// Evict ends the sessions that began first, as [Evicted]; otherwise the
	// save is refused with ErrLimit. Where many have to end, since there were
	// more than that already, some may end before the save, in steps of their own.
	Evict bool
}

// Condition says what must be true of the stored record for a Save to happen.
type Condition struct {
	create  bool
	version Version
}

// Create is the condition that there is no live record yet.
func Create() Condition { return Condition{create: true} }

// IfVersion is the condition that the live record has exactly version v.
func IfVersion(v Version) Condition { return Condition{version: v} }

// IsCreate reports whether the condition is Create.
func (c Condition) IsCreate() bool { return c.create }

// Version returns the version that an IfVersion condition expects.
func (c Condition) Version() Version { return c.version }

// Reason says why a session ended.
type Reason string

// The reasons, in the words that listeners and operators see.
const (
	Destroyed Reason = "destroyed" // the app ended it, at a logout for instance
	Idle      Reason = "idle"      // it was not used for its idle timeout
	Absolute  Reason = "absolute"  // its absolute end has come
	Revoked   Reason = "revoked"   // an operator ended it
	Evicted   Reason = "evicted"   // its principal signed in elsewhere once too often
	Replaced  Reason = "replaced"  // it had ended, and another session began under its key before it was swept
	Purged    Reason = "purged"    // an operator ended all sessions of its manager
)

// Reasons returns all of them.
func Reasons() []Reason {
	return slices.Clone([]Reason{Destroyed, Idle, Absolute, Revoked, Evicted, Replaced, Purged})
}

// Ended tells of one session that has ended.
type Ended struct {
	Key       Key
	Reason    Reason
	Principal string
}

// Observable is the ability of a store to tell its process of each session
// that ends by a call of this process, whatever the reason.
type Observable interface {
	// Observe has f called after each end was committed, and before the call
	// that ended it returns. f must be quick, must not call the store, and
	// may be called from several goroutines at once. It is set once, before
	// the store is used. A session that ends while the process dies is
	// not told of: what has to know for certain listens by the [Outbox].
	Observe(f func(Ended))
}
