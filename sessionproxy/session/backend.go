package session

import "github.com/sessionproxy/sessionproxy/store"

// Backend lends the store and its lock table to one request at a time, so
// that whoever owns them can close them after the last request has left, and
// not under it. Safe for concurrent use.
type Backend interface {
	// Borrow returns the store and the locks that belong to it. An error
	// means that there is no store now; nothing was borrowed then.
	Borrow() (store.Store, *Locks, error)
	// Return ends one successful Borrow.
	Return()
}

// Fixed returns a Backend for a store that stays open longer than every
// manager that uses it.
func Fixed(s store.Store) Backend { return &fixed{store: s, locks: NewLocks()} }

type fixed struct {
	store store.Store
	locks *Locks
}

func (f *fixed) Borrow() (store.Store, *Locks, error) { return f.store, f.locks, nil }
func (f *fixed) Return()                              {}
