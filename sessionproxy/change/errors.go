package change

import (
	"errors"
	"fmt"

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
)

// Errors of changes that cannot be made; test with errors.Is. The stored
// session is unchanged after each of them.
var (
	// ErrConflict: another request saved first, and the policy could not settle it.
	ErrConflict = errors.New("session was changed by another request")
	// ErrIfVersion: the stored version is not the one that the write demands. It comes with ErrConflict.
	ErrIfVersion = errors.New("the stored version is another one")
	// ErrTooMuchRework: another request saved first, and the writes are too many
	// to be made again on its data. It comes with ErrConflict.
	ErrTooMuchRework = fmt.Errorf("the writes are more than %d bytes times steps, too many to be made again on newer data", maxRework)
	// ErrTooLarge: the data would exceed its maximum size.
	ErrTooLarge = errors.New("session data is too large")
	// ErrBadWrite: the write makes no sense for the stored data, such as an
	// addition to something that is not a number.
	ErrBadWrite = errors.New("session write cannot be applied")
	// ErrNoPath: a write inside something that is not there.
	ErrNoPath = errors.New("there is no such place in the session's data")
)

func conflict(cause error) error { return fmt.Errorf("%w: %w", ErrConflict, cause) }

// opError says in the session's terms why an op cannot be made.
func opError(err error) error {
	switch {
	case errors.Is(err, ErrConflict):
		return err
	case errors.Is(err, document.ErrTest):
		return conflict(err)
	case errors.Is(err, document.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, document.ErrNoPath):
		return fmt.Errorf("%w: %w", ErrNoPath, err)
	}
	return fmt.Errorf("%w: %w", ErrBadWrite, err)
}
