package store

import (
	"context"
	"errors"
	"io"
	"time"
)

// Sweeper is the ability of a store to find the sessions that have expired,
// without looking at those that live.
type Sweeper interface {
	// Sweep ends sessions that are past their deadline at now, the earliest
	// first, and removes them; the reason is Idle or Absolute, whichever came
	// first. The store's own clock has no say: it may have been set since the
	// caller took the time and found it credible.
	// A store that is an [Outbox] stores an EventEnded of each that a listener
	// subscribes to; it may ask once for all of a manager. Sweep
	// looks at no more than n sessions, those included that turn out to live
	// on, in steps that hold no call up for long; more says that there may be
	// others at once. A call that fails, or is cancelled, has swept what it
	// has swept. A store that is short of disk space may leave alone, for the
	// time being, whatever it would have to write for.
	Sweep(ctx context.Context, now time.Time, n int) (ended int, more bool, err error)
}

// Order is one of listing sessions.
type Order string

const (
	// ByCreated lists the session that began last first.
	ByCreated Order = "created"
	// ByExpires lists the one that ends first, first. Use that was not filed
	// yet is not considered: a session that is in use may stand earlier than
	// where it belongs, and never later. When it is filed between two pages,
	// the session may come once more. A page by itself is in order of Expires.
	ByExpires Order = "expires"
)

// Query asks for a part of a listing.
type Query struct {
	Manager string
	// Principal restricts it to sessions that this user is signed in to; empty means all.
	Principal string
	Order     Order // empty means ByCreated
	// Limit is how many sessions are wanted, at least 1.
	Limit int
	// Cursor is Page.Next of the part before; empty means from the start.
	Cursor string
}

// Page is a part of a listing.
type Page struct {
	Sessions []Info
	// Next is the cursor for the part that follows; empty at the end.
	Next string
}

// ErrBadCursor says that a cursor is not one of this listing.
var ErrBadCursor = errors.New("not a cursor of this listing")

// Pager is the ability of a store to list sessions in an order, and by the user who is
// signed in, without looking at others. Principals are indexed in the same
// atomic step as the record.
type Pager interface {
	// Page returns live sessions, or an error wrapping ErrBadCursor if the
	// cursor is not from this store, manager, principal and order. One page is
	// as of one moment; a listing of several is no snapshot, as List is none.
	Page(ctx context.Context, q Query) (Page, error)
}

// Count is how many sessions a manager has in a store, those included that
// have expired and are not swept yet.
type Count struct {
	Manager  string
	Sessions int64
}

// Counter is the ability of a store to count without looking at each session.
type Counter interface {
	// Counts returns the managers that the store knows, in order of their
	// names. One without sessions may be missing.
	Counts(ctx context.Context) ([]Count, error)
}

// Archiver is the ability of a store to be copied while it is used.
type Archiver interface {
	// Backup writes everything, as of one moment but for access times, in a
	// form that only Restore reads. The text of sessions is in it, in clear.
	Backup(ctx context.Context, w io.Writer) error

	// Restore reads a whole backup into a store without sessions and without
	// deliveries, and returns how many sessions it has brought. The backup is
	// checked to its end before anything is stored: an error that wraps
	// ErrBadBackup or ErrNotEmpty has changed nothing, and after any other
	// the store is empty, at the latest when it is opened again. check, if it
	// is not nil, is asked of each session, and of the record in each event
	// (with "{}" for data where an event has none), before anything is stored: its error makes the backup one
	// that wraps ErrBadBackup, and names the place. Deliveries are checked by
	// CheckListener and CheckDeliveryError, if check is not nil. While it is
	// loaded saves and deletes are answered with ErrUnavailable. What has expired is
	// brought, too, so that listeners are told of it by the sweep; deliveries
	// keep their IDs.
	Restore(ctx context.Context, r io.Reader, check CheckRecord) (sessions int64, err error)
}

// CheckRecord tells what is wrong with a record, if something is. It must not
// keep the record.
type CheckRecord func(key Key, rec *Record) error

var (
	// ErrBadBackup says that a backup is damaged, cut off, of another kind
	// or of a newer version.
	ErrBadBackup = errors.New("not a backup that can be restored")
	// ErrNotEmpty says that a store has sessions or deliveries, so that none can be restored into it.
	ErrNotEmpty = errors.New("the session store is not empty")
)

// Stats are what a store knows of itself: counts since it was opened, sizes
// now. What does not apply to an engine is zero.
type Stats struct {
	Batches      int64     `json:"batches"`       // transactions written
	Writes       int64     `json:"writes"`        // operations in them
	Damaged      int64     `json:"damaged"`       // records that failed their checksum
	DamagedLogs  int64     `json:"damaged_logs"`  // that were damaged or missing when it was opened: what was written to them is lost
	Swept        int64     `json:"swept"`         // sessions that were found expired and ended
	SweptThrough time.Time `json:"swept_through"` // no session that ended before is unswept
	CacheBytes   int64     `json:"cache_bytes"`   // of memory, for copies of records
	DiskBytes    int64     `json:"disk_bytes"`
	FreeBytes    int64     `json:"free_bytes"` // of disk space, as last looked at
	Health       *Health   `json:"health,omitempty"`
}

// Health says whether a store takes writes now, and what it needs to go on
// taking them. A reserve of zero means that the file system does not count that.
type Health struct {
	Writable      bool   `json:"writable"`
	Reason        string `json:"reason,omitempty"` // why not, and what to do; empty if Writable
	FreeBytes     int64  `json:"free_bytes"`       // as last looked at, as the others
	ReserveBytes  int64  `json:"reserve_bytes"`    // with less, writes are refused
	FreeInodes    int64  `json:"free_inodes"`
	ReserveInodes int64  `json:"reserve_inodes"`
}

// Reporter is the ability of a store to tell how it is.
type Reporter interface {
	Stats() Stats
}
