package store

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Store keeps session records. Every method is safe for concurrent use.
//
// Edge contracts, the same for every engine and shown by package storetest:
//
//   - A record is complete or absent; there is no partial read and no torn write.
//   - A record that is past its deadline ([Record.Deadline], judged by the
//     store's own clock) is treated by every method as if it were absent,
//     whether or not its bytes are still on disk.
//   - A context that is already cancelled makes a method return its error
//     without effect. A context that is cancelled while a write is under way
//     yields an error wrapping [ErrUnknown]: the write may or may not happen,
//     but never partly, and repeating it is harmless (see Save).
//   - After the store was closed every method returns an error wrapping
//     [ErrUnavailable]; none panics.
//   - Errors carry the cause and never session data.
type Store interface {
	// Load returns the live record under key, or ErrGone when there is
	// none: never created, deleted, or expired. A record that fails its
	// checksum counts as gone too. The record's Data belongs to the store and may
	// be shared with other callers: read it, keep it, never change it.
	Load(ctx context.Context, key Key) (Record, error)

	// Save writes w under key if cond still holds, as one atomic step.
	// w.Version is the version that the record gets; the caller chooses it
	// with [Version.Next]. Data is owned by the store from then on: the
	// caller must not change it.
	//
	//   - Create succeeds only if there is no live record; otherwise ErrConflict.
	//   - Condition v succeeds only if the live record has exactly the
	//     version v and the incarnation of w. A newer version is
	//     ErrConflict; no live record, or another incarnation, is ErrGone. A
	//     save therefore never brings a deleted session back.
	//   - If the stored version already equals w.Version, nonce included,
	//     this very save has happened before and Save returns nil: a save
	//     whose outcome was unknown can be repeated.
	//   - ErrLimit if w.Limit does not let the principal have the session.
	//
	// A nil error means that the record is as durable as the store promises
	// and visible to every later Load. w.Accessed never moves an access
	// time that a Touch has advanced further back.
	Save(ctx context.Context, key Key, w Write, cond Condition) error

	// Delete ends the session for that reason: it removes the record and
	// everything filed with it. A store that is an [Outbox] stores an
	// EventEnded with the last data in the same step, if a listener
	// subscribes to it. It is unconditional and wins over any concurrent
	// save. Deleting what is absent is not an error, and no event. What has
	// expired is left to the sweep: it ended for another reason.
	Delete(ctx context.Context, key Key, reason Reason) error

	// Touch moves access times forward, apart from data: it never writes
	// data, never changes the version, never moves an access time back,
	// and does nothing for a record that is absent or of another
	// incarnation. A store may hold touches back, in memory, for at most
	// [TouchSlack] of the record's idle timeout; they are visible to Load
	// at once and an orderly close flushes them.
	Touch(ctx context.Context, touches ...Touch) error

	// List streams the metadata of the manager's live records in order of
	// id, beginning after the id given (the zero ID begins at the start). It holds no lock
	// and is no snapshot: a record that is created or deleted while the
	// listing runs may or may not appear; every other one appears exactly
	// once. An error ends the stream; breaking out of the loop is fine.
	List(ctx context.Context, manager string, after ID) iter.Seq2[Info, error]
}

// Updater is an optional ability of a store: to run a change against the
// current record inside the store's own writer. With it, many requests that
// change one hot record need one pass instead of one pass per contender.
type Updater interface {
	// Update calls change with the live record, after all writes accepted
	// before it, and saves what it returns; it returns the record saved.
	// No live record is ErrGone, and change is not called. An error of
	// change is returned as it is and nothing is written, and ErrLimit is
	// as for Save. change may be called several times, must be quick, must
	// not block and must not call the store; it must set a new Version.
	Update(ctx context.Context, key Key, change func(Record) (Write, error)) (Record, error)
}

// MaxData is the largest Data that every store takes, in bytes.
const MaxData = 256 << 10

// MaxCookies is the largest cookie jar that every store takes, in bytes.
const MaxCookies = 384 << 10

// Outcomes of a store call; test with errors.Is.
var (
	// ErrGone says that there is no live record of that key and incarnation.
	ErrGone = errors.New("session record is gone")
	// ErrConflict says that the stored version is not the expected one.
	ErrConflict = errors.New("session record has another version")
	// ErrLimit says that the principal has as many sessions as it may have.
	ErrLimit = errors.New("principal has too many sessions")
	// ErrUnknown says that a write was sent and not confirmed: it may be
	// repeated with the same version.
	ErrUnknown = errors.New("outcome of the write is unknown")
	// ErrUnavailable says that the store cannot serve the call now: closed,
	// out of disk space, or broken. Nothing was changed.
	ErrUnavailable = errors.New("session store is unavailable")
)

// Touch says that a session was used at a time.
type Touch struct {
	Key         Key
	Incarnation uint64
	Accessed    time.Time
}

// TouchSlack is how far behind a stored access time may be: a twentieth of
// the idle timeout. [Record.Deadline] adds it, so that a touch that was held
// back and then lost with the process never ends a session early.
func TouchSlack(idle time.Duration) time.Duration { return idle / 20 }
