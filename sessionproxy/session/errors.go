package session

import (
	"errors"
	"fmt"
)

// What a session answers when it cannot do as asked; test with errors.Is. The
// stored session is unchanged after each of them.
var (
	// ErrConflict: another request saved first, and the policy could not settle it.
	ErrConflict = errors.New("session was changed by another request")
	// ErrGone: the session ended, or its ticket was replaced by a login, while the request ran.
	ErrGone = errors.New("session has ended")
	// ErrReplaced: the session lives, but a sign-in, a sign-out or regenerate
	// replaced the ticket of the request. It wraps ErrGone.
	ErrReplaced = fmt.Errorf("%w for this ticket: a sign-in, a sign-out or regenerate replaced it", ErrGone)
	// ErrLocked: the session's lock was not obtained in time, or too many queue for it.
	ErrLocked = errors.New("session is locked")
	// ErrReadOnly: a write on a request that was opened read-only.
	ErrReadOnly = errors.New("session is read-only for this request")
	// ErrTooLarge: the data would exceed Policy.MaxSize.
	ErrTooLarge = errors.New("session data is too large")
	// ErrBadWrite: the write makes no sense for the stored data, such as an
	// addition to something that is not a number.
	ErrBadWrite = errors.New("session write cannot be applied")
	// ErrNoPath: a write inside something that is not there.
	ErrNoPath = errors.New("there is no such place in the session's data")
	// ErrIfVersion: the stored version is not the one that the write demands. It comes with ErrConflict.
	ErrIfVersion = errors.New("the stored version is another one")
	// ErrTooMuchRework: another request saved first, and the writes are too many
	// to be made again on its data. It comes with ErrConflict.
	ErrTooMuchRework = fmt.Errorf("the writes are more than %d bytes times steps, too many to be made again on newer data", maxRework)
	// ErrUnavailable: the store cannot be reached, or refuses to write.
	ErrUnavailable = errors.New("session store is unavailable")
	// ErrPrincipalLimit: who signs in has as many sessions as the policy allows.
	ErrPrincipalLimit = errors.New("principal has as many sessions as allowed")
	// ErrObsolete: the handle was committed or rolled back already.
	ErrObsolete = errors.New("session handle is obsolete")
)
