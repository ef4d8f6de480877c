package session

import (
	"errors"
	"fmt"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
	"github.com/sessionproxy/sessionproxy/store"
)

// Errors of a session that cannot do as asked; test with errors.Is. The stored
// session is unchanged after each of them. Those of packages change and lock
// come as they are.
var (
	// ErrGone: the session ended, or its ticket was replaced by a login, while the request ran.
	ErrGone = errors.New("session has ended")
	// ErrReplaced: the session lives, but a sign-in, a sign-out or regenerate
	// replaced the ticket of the request. It wraps ErrGone.
	ErrReplaced = fmt.Errorf("%w for this ticket: a sign-in, a sign-out or regenerate replaced it", ErrGone)
	// ErrReadOnly: a write on a request that was opened read-only.
	ErrReadOnly = errors.New("session is read-only for this request")
	// ErrUnavailable: the store cannot be reached, or refuses to write.
	ErrUnavailable = errors.New("session store is unavailable")
	// ErrPrincipalLimit: the principal has as many sessions as the policy allows.
	ErrPrincipalLimit = errors.New("principal has as many sessions as allowed")
	// ErrObsolete: the handle was committed or rolled back already.
	ErrObsolete = errors.New("session handle is obsolete")
)

// failureWords name the errors of sessions in one word; those of the store's
// calls come from store.FailureWord.
var failureWords = []struct {
	err  error
	word string
}{
	{change.ErrConflict, "conflict"},
	{ErrGone, "gone"},
	{ErrPrincipalLimit, "principal_limit"},
	{lock.ErrLocked, "locked"},
	{ErrReadOnly, "read_only"},
	{change.ErrTooLarge, "too_large"},
	{change.ErrBadWrite, "bad_write"},
	{change.ErrNoPath, "bad_write"},
	{ErrUnavailable, "unavailable"},
	{ErrObsolete, "obsolete"},
}

// FailureWord names an error in one word, for traces; "error" if it is of no
// kind that is known.
func FailureWord(err error) string {
	for _, f := range failureWords {
		if errors.Is(err, f.err) {
			return f.word
		}
	}
	if word := store.FailureWord(err); word != "" {
		return word
	}
	return "error"
}
