package session

import "github.com/sessionproxy/sessionproxy/store"

// Backend lends the store and what belongs to it to one request at a time, so
// that whoever owns them can close them after the last request has left, and
// not under it. Safe for concurrent use.
type Backend interface {
	// Borrow returns the store and what this process keeps beside it. An
	// error means that there is no store now; nothing was borrowed then.
	Borrow() (store.Store, *Local, error)
	// Return ends one successful Borrow.
	Return()
}

// Fixed returns a Backend for a store that stays open longer than every
// manager that uses it.
func Fixed(s store.Store) Backend { return &fixed{store: s, local: NewLocal(s)} }

type fixed struct {
	store store.Store
	local *Local
}

func (f *fixed) Borrow() (store.Store, *Local, error) { return f.store, f.local, nil }
func (f *fixed) Return()                              {}
