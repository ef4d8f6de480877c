package session

import (
	"errors"
	"fmt"
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
