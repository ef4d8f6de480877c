package session

import (
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Reports is what a Keeper tells of its work, for logs and counters. Each may
// be nil, must be quick, and may be called from several goroutines at once.
// How many sessions ended, and why, is shown by Local.Watch.
type Reports struct {
	// Told follows each attempt to tell a listener something.
	Told func(Telling)
	// Lost says that a rollback was not told, since too many wait for the listener.
	Lost func(listener string)
	// Hanging says that a listener has not come back from an event, although
	// its time is over. It has one slot less until it does.
	Hanging func(listener string)
	// ClockJumped says that the wall clock was set forward, or back if by is
	// negative, and for how long no session is swept because of that.
	ClockJumped func(by, hold time.Duration)
	// Failed says that the store has failed at something, which is tried
	// again later.
	Failed func(doing string, err error)
}

// Result says what became of an attempt to tell a listener.
type Result string

// The results.
const (
	Delivered Result = "delivered"
	Retried   Result = "retried" // it failed, and is tried again
	Dead      Result = "dead"    // it failed, and is not tried again until somebody asks for it
	Dropped   Result = "dropped" // it failed, and is not kept: a rollback
)

// Telling is one attempt to tell a listener of an event. It has none of the
// session's data, and nobody's name.
type Telling struct {
	Listener string
	Kind     EventKind
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

func (r *Reports) told(t Telling) {
	if r.Told != nil {
		r.Told(t)
	}
}

func (r *Reports) lost(listener string) {
	if r.Lost != nil {
		r.Lost(listener)
	}
}

func (r *Reports) hanging(listener string) {
	if r.Hanging != nil {
		r.Hanging(listener)
	}
}

func (r *Reports) clockJumped(by, hold time.Duration) {
	if r.ClockJumped != nil {
		r.ClockJumped(by, hold)
	}
}

func (r *Reports) failed(doing string, err error) {
	if r.Failed != nil {
		r.Failed(doing, err)
	}
}
