package store

import (
	"context"
	"errors"
	"time"
)

// Leaser is an optional ability of a store that several processes share: to
// give a session to one of them at a time, so that their requests take turns.
//
// A lease is no protection of the record. A holder that has lost one, because it could
// not prolong it in time, is refused by the condition of its Save when another
// has saved since. A store forgets a lease when its time is over.
type Leaser interface {
	// Lease gives key to holder for ttl from now, by the store's own clock,
	// or prolongs the lease that holder has; a ttl of zero gives it back, if
	// holder has it. When another holder has it the error wraps ErrLeased:
	// Lease does not wait. A key needs no record to be leased. A holder is
	// random, one for each use. When the outcome is unknown the call may be
	// repeated.
	Lease(ctx context.Context, key Key, holder uint64, ttl time.Duration) error
}

// ErrLeased says that another holder has the lease.
var ErrLeased = errors.New("session is leased to another process")

// NewHolder returns the random number of one use of a lease. It is never zero.
func NewHolder() uint64 { return RandomUint64() | 1 }
